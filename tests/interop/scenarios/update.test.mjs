import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets, assertProved } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

for (const rotateRegistrationAccessToken of [true, false]) {
  const how = rotateRegistrationAccessToken ? "replaces" : "keeps";
  test(`each change is one update, at a provider that ${how} the registration access token`, async (t) => {
    const provider = await startProvider(t, { rotateRegistrationAccessToken });
    const deployment = await newDeployment(t, { issuer: provider.issuer });
    const first = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
    await first.ready();
    assert.equal(await first.stop(), 0);
    const [{ client_id: clientId }] = provider.clients();

    for (const path of ["one", "two", "two", "three"]) {
      provider.requests.length = 0;
      const before = provider.clients()[0].redirect_uris;
      const redirect = `https://app.example/${path}`;
      const bff = await deployment.start({ DCR_REDIRECT_URIS: redirect });
      await bff.ready();

      const expected = before[0] === redirect ? [] : [{ method: "PUT", path: `/reg/${clientId}`, status: 200 }];
      assert.deepEqual(provider.registrationWrites(), expected);
      if (expected.length === 0) assert.deepEqual(provider.managementRequests(), []);
      const [client, ...others] = provider.clients();
      assert.deepEqual(others, []);
      assert.equal(client.client_id, clientId);
      assert.deepEqual(client.redirect_uris, [redirect]);
      assert.equal(client.token_endpoint_auth_method, "private_key_jwt");
      assert.equal(client.jwks_uri, `${deployment.url}/.well-known/jwks.json`);
      assert.equal(client.scope, "openid orders:read");
      assertProved(provider);
      assert.equal(await bff.stop(), 0);
      assertNoSecrets(bff.output, provider);
    }
  });
}

test("keys are registered by value, and an update takes the address away", async (t) => {
  const provider = await startProvider(t);
  const deployment = await newDeployment(t, { issuer: provider.issuer });
  const first = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
  await first.ready();
  assert.equal(await first.stop(), 0);

  for (let start = 0; start < 2; start++) {
    const bff = await deployment.start({ DCR_JWKS: "value" });
    await bff.ready();
    assert.equal(await bff.stop(), 0);
  }

  const [client] = provider.clients();
  assert.equal(client.jwks_uri, undefined);
  assert.equal(client.jwks.keys.length, 1);
  assert.equal(provider.registrationWrites().length, 2);
  assertProved(provider);
});
