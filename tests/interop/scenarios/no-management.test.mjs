import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets, assertProved } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

for (const [how, policy, status] of [
  ["management off", { management: false }, 404],
  ["no registration access token", { issueRegistrationAccessToken: false }, undefined],
]) {
  test(`with ${how} the client works, and a change is said to be left out`, async (t) => {
    const provider = await startProvider(t, policy);
    const deployment = await newDeployment(t, { issuer: provider.issuer });
    const first = await deployment.start({ DCR_IAT: await provider.mintInitialAccessToken() });
    await first.ready();
    assert.equal(await first.stop(), 0);
    provider.requests.length = 0;

    for (let start = 0; start < 3; start++) {
      const bff = await deployment.start({ DCR_REDIRECT_URIS: "https://app.example/new" });
      await bff.ready();
      await bff.says(/cannot be changed from here|does not let this client change/);
      assert.equal(await bff.stop(), 0);
      assert.deepEqual(bff.output.complaints(), []);
      assertNoSecrets(bff.output, provider);
    }

    const writes = provider.registrationWrites().map((request) => [request.method, request.status]);
    assert.deepEqual(writes, status ? [["PUT", status]] : []);
    assert.equal(provider.clients().length, 1);
    assert.deepEqual(provider.clients()[0].redirect_uris, ["https://app.example/callback"]);
    assertProved(provider);
  });
}
