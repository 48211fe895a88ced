import { setTimeout as pause } from "node:timers/promises";

/** How often a condition is looked at, in milliseconds. */
const INTERVAL = 25;

/**
 * Waits until `condition` gives something truthy, and gives that.
 *
 * `what` completes the sentence "waited 15 s for …"; a function is asked only when the time is over.
 */
export async function until(what, condition, { seconds = 15 } = {}) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const seen = await condition();
    if (seen) return seen;
    if (performance.now() > deadline) {
      throw new Error(`waited ${seconds} s for ${typeof what === "function" ? what() : what}`);
    }
    await pause(INTERVAL);
  }
}
