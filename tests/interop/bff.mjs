import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { access, constants, mkdir, mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Output } from "./output.mjs";
import { until } from "./until.mjs";

/** Longest time a command or a stop may take, in seconds. */
const EXIT_SECONDS = 20;

// The runner ends a file that takes too long by a signal, and no clean-up of a test follows.
const children = new Set();
const directories = new Set();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Makes an empty directory that is removed when this process ends. */
export async function temporaryDirectory() {
  const directory = await mkdtemp(join(tmpdir(), "bff-interop-"));
  directories.add(directory);
  return directory;
}

/** Finds a port of loopback that was free a moment ago. */
export async function freePort() {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  const closed = once(server, "close");
  server.close();
  await closed;
  return port;
}

/**
 * A place where one client's identity lives: a keys directory, a port, and the settings that stay the same from one
 * start to the next.
 */
export async function newDeployment(t, { issuer, settings = {} }) {
  const home = await temporaryDirectory();
  const keys = join(home, "keys");
  await mkdir(keys);
  const port = await freePort();
  return new Deployment(t, home, {
    BFF_LISTEN: `127.0.0.1:${port}`,
    BFF_BASE_URL: `http://127.0.0.1:${port}`,
    BFF_KEYS_DIR: keys,
    BFF_LOG_FORMAT: "json",
    IDP_BASE_URL: issuer,
    DCR_GRANT_TYPES: "authorization_code client_credentials",
    DCR_REDIRECT_URIS: "https://app.example/callback",
    DCR_SCOPE: "openid orders:read",
    ...settings,
  });
}

class Deployment {
  #t;
  #home;
  #settings;

  constructor(t, home, settings) {
    this.#t = t;
    this.#home = home;
    this.#settings = settings;
  }

  /** Base URL of the service. */
  get url() {
    return this.#settings.BFF_BASE_URL;
  }

  /** The service's endpoint of that path; `null` while nobody answers. */
  async get(path) {
    try {
      return await fetch(this.url + path, { redirect: "manual", signal: AbortSignal.timeout(5_000) });
    } catch {
      return null;
    }
  }

  /** Starts the service, with `settings` added to those of the deployment. */
  async start(settings = {}) {
    return new Service(this, await this.#spawn(["serve"], settings));
  }

  /** Runs one command to its end. */
  async run(args, settings = {}) {
    const run = await this.#spawn(args, settings);
    await run.exited();
    return run;
  }

  async #spawn(args, settings) {
    // Nothing else is inherited: an operator's own BFF_* or DCR_* must not decide a test.
    const env = { PATH: process.env.PATH, ...this.#settings, ...settings };
    const run = new Run(spawn(await program(), args, { cwd: this.#home, env, stdio: ["ignore", "pipe", "pipe"] }));
    this.#t.after(() => run.kill());
    return run;
  }
}

/** One process of the program. */
class Run {
  #child;
  #closed;
  output;

  constructor(child) {
    this.#child = child;
    this.#closed = once(child, "close");
    this.#closed.catch(() => {}); // whoever waits for it hears of it
    children.add(child);
    child.once("close", () => children.delete(child));
    this.output = new Output(child.stdout, child.stderr);
  }

  get exitCode() {
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  /** Waits for the end, and gives the exit code or the signal's name. */
  async exited({ seconds = EXIT_SECONDS } = {}) {
    let closed = false;
    const watch = this.#closed.then(() => (closed = true));
    await Promise.race([watch, until(() => `bff to exit; it wrote:\n${this.output}`, () => closed, { seconds })]);
    return this.exitCode;
  }

  /** Asks it to end, and gives the exit code. */
  stop() {
    this.#child.kill("SIGTERM");
    return this.exited();
  }

  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await this.#closed;
  }
}

/** A running service. */
class Service {
  #deployment;
  #run;

  constructor(deployment, run) {
    this.#deployment = deployment;
    this.#run = run;
  }

  get output() {
    return this.#run.output;
  }

  /** Waits until the service says that it is ready. */
  async ready({ seconds = 20 } = {}) {
    await this.#waitFor("/readyz to answer 200", seconds, async () => (await this.#deployment.get("/readyz"))?.status === 200);
  }

  /** Waits until a line of the log matches `pattern`, and gives the match. */
  async says(pattern, { seconds = 15 } = {}) {
    return this.#waitFor(`a log line ${pattern}`, seconds, () => this.output.match(pattern));
  }

  /** Waits for the service to end by itself, and gives the exit code. */
  exited(options) {
    return this.#run.exited(options);
  }

  /** Asks the service to end, and gives the exit code. */
  stop() {
    return this.#run.stop();
  }

  #waitFor(what, seconds, condition) {
    const told = () => `${what}; bff wrote:\n${this.output}`;
    return until(told, () => {
      if (this.#run.exitCode !== null) throw new Error(`bff exited with ${this.#run.exitCode} before ${told()}`);
      return condition();
    }, { seconds });
  }
}

async function program() {
  const path = process.env.BFF_BIN;
  if (!path) throw new Error("BFF_BIN is not set: it names the bff program to test, for example target/release/bff");
  const file = resolve(path);
  await access(file, constants.X_OK).catch(() => {
    throw new Error(`BFF_BIN names ${file}, which is not a program`);
  });
  return file;
}
