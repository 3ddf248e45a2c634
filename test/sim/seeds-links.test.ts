import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/simulator/run.js'
import { everyPromiseHolds } from './seeds.js'

const links = ['cut', 'cut>', 'slow', 'splitBrain', 'vaulted', 'restored by delta']

describe('random schedules of failing links, and of all faults', () => {
  everyPromiseHolds('calm', 3, ['restored by none'])
  everyPromiseHolds('network', 9, [...links, 'heal', 'reset', 'kill', 'switchedOver'])
  everyPromiseHolds('everything', 14, [
    ...links,
    ...['kill', 'powerOff', 'freeze', 'suspend', 'diskFull', 'failNextSync', 'slowDisk', 'flip'],
    ...['restored by full', 'restored by journal', 'historyLost', 'journalTrimmed'],
  ])

  it('the same seed gives the same run', { timeout: 60_000 }, async () => {
    for (const seed of [7, 11]) {
      const [first, second] = [await simulate(seed), await simulate(seed)]
      expect(second.hash, `seed ${seed}`).toBe(first.hash)
      expect(second.events).toBe(first.events)
    }
  })
})
