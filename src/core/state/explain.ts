/** The last decisions of the core, each with its rule and the facts it rests on. */
import type { CoreState } from './state.js'
import type { Decision } from './types.js'

/** Decisions that `explain()` keeps; the oldest are forgotten beyond it. */
export const decisionsMax = 64

/**
 * Records a decision. Deadlines are looked at again with every input, so the same decision of the
 * same rule in a row is kept once, at the time when it was first taken.
 */
export function decide(
  core: CoreState,
  rule: string,
  outcome: string,
  inputs: Readonly<Record<string, unknown>> = {},
): void {
  const last = core.decisions.at(-1)
  if (last !== undefined && last.rule === rule && last.outcome === outcome) return
  core.decisions.push({ atMs: core.nowMs, rule, outcome, inputs })
  if (core.decisions.length > decisionsMax) core.decisions.shift()
}

/** The last decisions, oldest first. */
export function explain(core: CoreState): Decision[] {
  return [...core.decisions]
}
