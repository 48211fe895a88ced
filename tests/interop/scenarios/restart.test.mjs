import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets, assertPublicKeys } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

for (const [how, left] of [["without a token", () => ({})], ["with the used token still set", (token) => ({ DCR_IAT: token })]]) {
  test(`a restart ${how} writes nothing at the provider and keeps the keys`, async (t) => {
    const provider = await startProvider(t);
    const deployment = await newDeployment(t, { issuer: provider.issuer });
    const token = await provider.mintInitialAccessToken();
    const first = await deployment.start({ DCR_IAT: token });
    await first.ready();
    const keys = await assertPublicKeys(await deployment.get("/.well-known/jwks.json"));
    assert.equal(await first.stop(), 0);
    provider.requests.length = 0;

    const second = await deployment.start(left(token));
    await second.ready();

    assert.deepEqual(provider.registrationWrites(), []);
    assert.equal(provider.clients().length, 1);
    assert.deepEqual(await assertPublicKeys(await deployment.get("/.well-known/jwks.json")), keys);
    assert.equal(await second.stop(), 0);
    assertNoSecrets(second.output, provider);
  });
}
