import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

const TOKENS = {
  "a wrong": async () => "no-provider-ever-issued-this-token",
  "a used": (provider) => provider.mintUsedInitialAccessToken(),
  "an expired": (provider) => provider.mintExpiredInitialAccessToken(),
};

for (const [which, mint] of Object.entries(TOKENS)) {
  test(`${which} initial access token is tried once and ends in a hint`, async (t) => {
    const provider = await startProvider(t);
    const deployment = await newDeployment(t, { issuer: provider.issuer });
    const token = await mint(provider);
    const clients = provider.clients();
    provider.requests.length = 0;

    const bff = await deployment.start({ DCR_IAT: token });

    assert.equal(await bff.exited(), 77, bff.output.toString());
    assert.deepEqual(provider.registrationWrites(), [{ method: "POST", path: "/reg", status: 401 }]);
    assert.deepEqual(provider.clients(), clients);
    const complaints = bff.output.complaints().map(({ message }) => message);
    assert.equal(complaints.length, 1, bff.output.toString());
    assert.match(complaints[0], /bff mint-iat/);
    assert.match(complaints[0], /DCR_IAT/);
    assertNoSecrets(bff.output, provider, [token]);
  });
}
