import assert from "node:assert/strict";
import test from "node:test";
import { assertNoSecrets } from "../assertions.mjs";
import { newDeployment } from "../bff.mjs";
import { startProvider } from "../provider.mjs";

test("a member that the provider does not know is refused, named, and costs no token", async (t) => {
  const provider = await startProvider(t, { strictMetadata: true });
  const deployment = await newDeployment(t, { issuer: provider.issuer });
  const token = await provider.mintInitialAccessToken();

  const refused = await deployment.start({ DCR_IAT: token, DCR_CLIENT_PROFILE: "code-flow-pkjwt" });
  assert.equal(await refused.exited(), 78);
  assert.deepEqual(provider.registrationWrites(), [{ method: "POST", path: "/reg", status: 400 }]);
  assert.match(refused.output.complaints().map(({ message }) => message).join("\n"), /client_profile.*DCR_CLIENT_PROFILE/);
  assertNoSecrets(refused.output, provider);

  const corrected = await deployment.start({ DCR_IAT: token });
  await corrected.ready();
  assert.equal(await corrected.stop(), 0);
  assert.equal(provider.clients().length, 1);

  // The same in an update: refused, and the client works on as it was.
  const updated = await deployment.start({ DCR_CLIENT_PROFILE: "code-flow-pkjwt" });
  await updated.ready();
  assert.match(updated.output.complaints().map(({ message }) => message).join("\n"), /stays as it was.*DCR_CLIENT_PROFILE/);
  assert.equal(await updated.stop(), 0);
  assert.equal(provider.clients()[0].client_profile, undefined);
});
