/** What a process wrote, line by line; lines of JSON are log events. */
export class Output {
  #stdout = "";
  #stderr = "";

  constructor(stdout, stderr) {
    stdout.setEncoding("utf8").on("data", (text) => (this.#stdout += text));
    stderr.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
  }

  get stdout() {
    return this.#stdout;
  }

  /** Everything that was written, for a person to read. */
  toString() {
    return this.#stdout + this.#stderr;
  }

  /** The lines as `{ level, message }`; a line that is no log event has no level. */
  lines() {
    return this.toString().split("\n").filter(Boolean).map(parse);
  }

  /** The lines that tell of a failure: the log's errors, and what was written past the log. */
  complaints() {
    return this.lines().filter(({ level }) => level === undefined || level === "ERROR");
  }

  /** The first match of `pattern` with a message. */
  match(pattern) {
    for (const { message } of this.lines()) {
      const match = pattern.exec(message);
      if (match) return match;
    }
    return null;
  }
}

function parse(line) {
  try {
    const event = JSON.parse(line);
    return { level: event.level, message: event.message ?? event.fields?.message ?? line };
  } catch {
    return { level: undefined, message: line };
  }
}
