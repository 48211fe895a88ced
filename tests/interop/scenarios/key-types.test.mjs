import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { assertNoSecrets, assertProved, assertPublicKeys } from "../assertions.mjs";
import { newDeployment, temporaryDirectory } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

const KEYS = [
  { alg: "ES256", type: "ec", options: { namedCurve: "P-256" } },
  { alg: "EdDSA", type: "ed25519" },
  { alg: "PS256", type: "rsa", options: { modulusLength: 2048 }, settings: { BFF_SIGNING_ALG: "PS256" } },
];

for (const { alg, type, options, settings } of KEYS) {
  test(`the provider accepts assertions that a given key signed with ${alg}`, async (t) => {
    const provider = await startProvider(t);
    const deployment = await newDeployment(t, { issuer: provider.issuer, settings });
    const pem = join(await temporaryDirectory(), "signing-key.pem");
    const { privateKey } = generateKeyPairSync(type, options);
    await writeFile(pem, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });

    const bff = await deployment.start({
      BFF_JWT_SIGNING_KEY: pem,
      DCR_IAT: await provider.mintInitialAccessToken(),
    });
    await bff.ready();

    assert.equal(provider.clients()[0].token_endpoint_auth_signing_alg, alg);
    assertProved(provider);
    const [key] = await assertPublicKeys(await deployment.get("/.well-known/jwks.json"));
    assert.equal(key.alg, alg);
    assertNoSecrets(bff.output, provider);
  });
}
