import assert from "node:assert/strict";
import test from "node:test";
import { assertProved, assertPublicKeys } from "../assertions.mjs";
import { freePort, newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

test("a provider that comes up late is waited for", async (t) => {
  const port = await freePort();
  const deployment = await newDeployment(t, { issuer: `http://127.0.0.1:${port}` });
  const initialAccessToken = "minted-before-the-provider-went-down";

  const bff = await deployment.start({ DCR_IAT: initialAccessToken });
  await bff.says(/again|retr/i);
  await assertPublicKeys(await deployment.get("/.well-known/jwks.json"));
  assert.equal((await deployment.get("/readyz")).status, 503);

  const provider = await startProvider(t, { port, initialAccessToken });
  await bff.ready();

  assert.equal(provider.registrationWrites().length, 1);
  assertProved(provider);
});
