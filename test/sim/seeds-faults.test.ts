import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/simulator/run.js'
import { everyPromiseHolds } from './seeds.js'

describe('random schedules of failing calls, replaced disks, files changed by hand, and narrow links', () => {
  everyPromiseHolds('storage', 7, [
    ...['slowCalls', 'hang', 'failCalls', 'torn call', 'failed call', 'diskFull', 'failNextSync'],
    ...['failSnapshot', 'snapshotFailed'],
  ])
  everyPromiseHolds('replaced', 9, ['backUp', 'diskReplaced', 'diskPutBack', 'restored by full'])
  everyPromiseHolds('outside', 4, [
    ...['outside edit', 'outside add', 'outside remove', 'outsideChange', 'stepWall', 'vaulted'],
  ])
  everyPromiseHolds('narrow', 4, [
    ...['lossy', 'narrow', 'halfOpen', 'closePort', 'unread', 'inFlight', 'stepWall', 'freeze'],
    ...['put with a mode', 'transaction that reads'],
  ])

  it('the same seed gives the same run for each of them', { timeout: 60_000 }, async () => {
    for (const profile of ['storage', 'replaced', 'outside', 'narrow'] as const) {
      const [first, second] = [await simulate(5, { profile }), await simulate(5, { profile })]
      expect(second.hash, profile).toBe(first.hash)
      expect(second.events).toBe(first.events)
    }
  })
})
