import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets, assertProved } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

const WAYS = [
  ["a provider that restarts with its memory lost", async (t, provider) => {
    await provider.stop();
    return startProvider(t, { port: provider.port });
  }],
  ["a provider where somebody has deleted the client", async (t, provider) => {
    assert.ok(provider.deleteClient(provider.clients()[0].client_id));
    return provider;
  }],
];

for (const [what, lose] of WAYS) {
  test(`${what} is named, and gets a new client on order alone`, async (t) => {
    const before = await startProvider(t);
    const deployment = await newDeployment(t, { issuer: before.issuer });
    const token = await before.mintInitialAccessToken();
    const first = await deployment.start({ DCR_IAT: token });
    await first.ready();
    assert.equal(await first.stop(), 0);
    const [{ client_id: lost }] = before.clients();

    const provider = await lose(t, before);
    provider.requests.length = 0;
    const spare = await provider.mintInitialAccessToken();
    for (const settings of [{}, { DCR_IAT: token }, { DCR_IAT: spare }]) {
      const refused = await deployment.start(settings);
      assert.equal(await refused.exited(), 77);
      const [complaint] = refused.output.complaints().map(({ message }) => message);
      assert.match(complaint, new RegExp(`perhaps does not know client \`${lost}\`.*bff mint-iat.*DCR_FORCE_REPLACE=true`));
      assertNoSecrets(refused.output, provider);
    }
    assert.deepEqual(provider.registrationWrites(), []);

    provider.requests.length = 0;
    const anew = await deployment.start({
      DCR_IAT: await provider.mintInitialAccessToken(),
      DCR_FORCE_REPLACE: "true",
    });
    await anew.ready();
    const clients = provider.clients();
    assert.equal(clients.length, 1);
    assert.notEqual(clients[0].client_id, lost);
    assert.equal(await anew.stop(), 0);
    assertNoSecrets(anew.output, provider);

    provider.requests.length = 0;
    const again = await deployment.start();
    await again.ready();
    assert.deepEqual(provider.registrationWrites(), []);
    assertProved(provider);
    assert.equal(await again.stop(), 0);
  });
}
