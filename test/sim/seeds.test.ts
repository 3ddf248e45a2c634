import { describe, expect, it } from 'vitest'
import { type ProfileName, profileNames } from '../../src/testing/simulator/faults.js'
import { simulate } from '../../src/testing/simulator/run.js'

const seedsEach: Record<ProfileName, number> = {
  calm: 4,
  single: 16,
  crashes: 18,
  disk: 20,
  network: 20,
  everything: 22,
}

async function run(seed: number, profile: ProfileName): Promise<void> {
  const { violations, tail } = await simulate(seed, { profile })
  const replay = `npm run sim -- --seed ${seed} --profile ${profile}`
  expect(violations, `${replay}\n${tail.join('\n')}`).toEqual([])
}

describe('random schedules', () => {
  for (const profile of profileNames) {
    it(`every promise holds: ${profile}`, { timeout: 120_000 }, async () => {
      for (let seed = 1; seed <= seedsEach[profile]; seed += 1) await run(seed, profile)
    })
  }

  it('the same seed gives the same run', { timeout: 60_000 }, async () => {
    for (const seed of [7, 11, 12, 19]) {
      const [first, second] = [await simulate(seed), await simulate(seed)]
      expect(second.hash, `seed ${seed}`).toBe(first.hash)
      expect(second.events).toBe(first.events)
    }
  })
})
