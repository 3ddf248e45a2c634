/** Tests of simulator runs with seeded schedules. */
import { expect, it } from 'vitest'
import type { ProfileName } from '../../src/testing/simulator/faults.js'
import { simulate } from '../../src/testing/simulator/run.js'

/**
 * Declares the test that every promise holds with the first seeds of a profile, and that these runs
 * cover what the profile is for.
 *
 * @param reached - what has to happen at least once: faults, events, restore methods
 */
export function everyPromiseHolds(
  profile: ProfileName,
  seeds: number,
  reached: readonly string[],
): void {
  it(`every promise holds: ${profile}`, { timeout: 180_000 }, async () => {
    const happened = new Set<string>()
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { violations, tail, counts } = await simulate(seed, { profile })
      const replay = `npm run sim -- --seed ${seed} --profile ${profile}`
      expect(violations, `${replay}\n${tail.join('\n')}`).toEqual([])
      for (const kind of counts.keys()) happened.add(kind)
    }
    expect(reached.filter((kind) => !happened.has(kind))).toEqual([])
  })
}
