import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

test("a scope that the provider refuses costs no token", async (t) => {
  const provider = await startProvider(t);
  const deployment = await newDeployment(t, { issuer: provider.issuer });
  const token = await provider.mintInitialAccessToken();

  const refused = await deployment.start({ DCR_IAT: token, DCR_SCOPE: "openid payments:write" });
  assert.notEqual(await refused.exited(), 0);
  assert.deepEqual(provider.registrationWrites(), [{ method: "POST", path: "/reg", status: 400 }]);
  assert.match(refused.output.complaints().map(({ message }) => message).join("\n"), /DCR_SCOPE|allowed_scopes/);
  assertNoSecrets(refused.output, provider);

  const corrected = await deployment.start({ DCR_IAT: token, DCR_SCOPE: "openid orders:read" });
  await corrected.ready();
  assert.equal(provider.clients().length, 1);
  assert.equal(provider.clients()[0].scope, "openid orders:read");
});
