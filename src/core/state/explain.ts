/** Keeps the last decisions of the core, each with its rule and the facts behind it. */
import type { CoreState } from './state.js'
import type { Decision } from './types.js'

/** Decisions that `explain()` keeps; beyond it the oldest are dropped. */
export const decisionsMax = 64

/**
 * Records a decision. The rules run with every input, so repeated decisions of a rule with one
 * outcome are kept once, with the time of the first.
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
