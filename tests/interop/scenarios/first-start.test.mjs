import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets, assertProved, assertPublicKeys } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

test("a first start registers once and proves it before it is ready", async (t) => {
  const provider = await startProvider(t);
  const deployment = await newDeployment(t, { issuer: provider.issuer });

  const bff = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
  await bff.ready();

  assert.deepEqual(provider.registrationWrites(), [{ method: "POST", path: "/reg", status: 201 }]);
  const [client] = provider.clients();
  assert.equal(client.token_endpoint_auth_method, "private_key_jwt");
  assert.equal(client.jwks_uri, `${deployment.url}/.well-known/jwks.json`);
  assert.deepEqual(client.redirect_uris, ["https://app.example/callback"]);
  assertProved(provider);

  const [, clientId] = await bff.says(/^Client registered: (\S+)/);
  assert.equal(clientId, client.client_id);
  await assertPublicKeys(await deployment.get("/.well-known/jwks.json"));

  assert.equal(await bff.stop(), 0);
  assertNoSecrets(bff.output, provider);
});
