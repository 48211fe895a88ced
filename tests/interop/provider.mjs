import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { errors, Provider } from "oidc-provider";
import { Storage } from "./storage.mjs";

/** Scopes that the provider lets a client register. */
export const SCOPES = ["openid", "offline_access", "orders:read"];

const WRITES = ["POST", "PUT", "PATCH", "DELETE"];

/** What the provider does unless a test says otherwise. */
const POLICY = {
  /** Issues a registration access token to each new client. */
  issueRegistrationAccessToken: true,
  /** Lets a client update and delete itself. */
  management: true,
  /** Replaces the registration access token with each update. */
  rotateRegistrationAccessToken: true,
  /** Refuses metadata that no standard has. */
  strictMetadata: false,
};

/**
 * Starts an OpenID Provider on loopback, in this process; it ends with the test `t`.
 *
 * `port` 0 takes a free one; `initialAccessToken` is one that it knows from the start. The rest overrides `POLICY`.
 */
export async function startProvider(t, { port = 0, initialAccessToken, ...policy } = {}) {
  const server = createServer();
  await once(server.listen(port, "127.0.0.1"), "listening");
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const storage = new Storage();
  const provider = new Provider(issuer, configuration(storage, { ...POLICY, ...policy }));
  const requests = [];
  provider.use(recordRequests(requests));
  provider.use(useInitialAccessTokensOnce);
  server.on("request", provider.callback());

  const running = new RunningProvider({ issuer, server, storage, provider, requests });
  t.after(() => running.stop());
  if (initialAccessToken) await running.mintInitialAccessToken({ jti: initialAccessToken });
  return running;
}

class RunningProvider {
  #server;
  #storage;
  #provider;

  /** The issuer identifier, which is also where discovery starts. */
  issuer;
  /** What was asked so far: `{ method, path, status }`. No header or body is kept. */
  requests;

  constructor({ issuer, server, storage, provider, requests }) {
    this.issuer = issuer;
    this.requests = requests;
    this.#server = server;
    this.#storage = storage;
    this.#provider = provider;
  }

  /** Mints an initial access token that is good for one registration. */
  mintInitialAccessToken({ jti } = {}) {
    return new this.#provider.InitialAccessToken({ jti, expiresIn: 600 }).save();
  }

  /** Mints an initial access token whose time is over. */
  async mintExpiredInitialAccessToken() {
    const token = await this.mintInitialAccessToken();
    this.#storage.of("InitialAccessToken").get(token).exp = Math.floor(Date.now() / 1000) - 60;
    return token;
  }

  /** Mints an initial access token and registers some client with it. */
  async mintUsedInitialAccessToken() {
    const token = await this.mintInitialAccessToken();
    const response = await fetch(`${this.issuer}/reg`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        token_endpoint_auth_method: "private_key_jwt",
        jwks_uri: "https://other.example/jwks.json",
        redirect_uris: ["https://other.example/callback"],
      }),
    });
    if (response.status !== 201) throw new Error(`the provider did not register: ${await response.text()}`);
    return token;
  }

  /** The metadata of all registered clients. */
  clients() {
    return [...this.#storage.of("Client").values()];
  }

  /** Requests at the registration endpoint and below that can change something. */
  registrationWrites() {
    return this.requests.filter(({ method, path }) => path.startsWith("/reg") && WRITES.includes(method));
  }

  /** Requests that read or change one registered client (RFC 7592 §2). */
  managementRequests() {
    return this.requests.filter(({ path }) => path.startsWith("/reg/"));
  }

  /** Removes a client, as somebody at the provider's own console does. */
  deleteClient(clientId) {
    return this.#storage.of("Client").delete(clientId);
  }

  /** The port it listens on. */
  get port() {
    return Number(new URL(this.issuer).port);
  }

  /** Requests at the token endpoint. */
  tokenRequests() {
    return this.requests.filter(({ path }) => path === "/token");
  }

  /** Each token this provider ever issued. */
  issuedTokens() {
    return [...this.#storage.everIssued];
  }

  async stop() {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function configuration(storage, policy) {
  const { issueRegistrationAccessToken, management, rotateRegistrationAccessToken, strictMetadata } = policy;
  return {
    adapter: storage.adapter,
    clientAuthMethods: ["private_key_jwt"],
    cookies: { keys: ["not used: nobody logs in here"] },
    ...(strictMetadata && { extraClientMetadata: { properties: ["client_profile"], validator: refuse } }),
    enabledJWA: { clientAuthSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      registration: { enabled: true, initialAccessToken: true, issueRegistrationAccessToken },
      registrationManagement: management ? { enabled: true, rotateRegistrationAccessToken } : { enabled: false },
    },
    fetch: fetchFromLoopback,
    interactions: { url: () => "/nobody-logs-in-here" },
    jwks: { keys: [generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" })] },
    scopes: SCOPES,
    ttl: { ClientCredentials: 60 },
  };
}

function refuse(ctx, name, value) {
  if (value !== undefined) throw new errors.InvalidClientMetadata(`${name} is not a member that this provider knows`);
}

/** The provider's own dispatcher refuses loopback, which is all that this provider may fetch from. */
function fetchFromLoopback(url, { dispatcher, ...options }) {
  if (new URL(url).hostname !== "127.0.0.1") throw new Error(`${url} is not on loopback`);
  return fetch(url, options);
}

function recordRequests(requests) {
  return async (ctx, next) => {
    await next();
    requests.push({ method: ctx.method, path: ctx.path, status: ctx.status });
  };
}

async function useInitialAccessTokensOnce(ctx, next) {
  await next();
  if (ctx.oidc?.route === "registration" && ctx.status === 201) await ctx.oidc.entities.InitialAccessToken.destroy();
}
