import { expect, it } from 'vitest'
import { FlowControl, type FlowStandby } from '../../src/replication/flow-control.js'
import { TestClock } from './writer-support.js'

it('writers are paced to no less than four writes a second, also where nobody wrote of late', () => {
  const clock = new TestClock()
  const lag = { lagSeq: 1, lagBytes: 1000, lagMs: 1 }
  const beta = { inSet: false, lag, restores: false, restoredBytes: 0, arrivedBytes: 0 }
  let standby: FlowStandby = { id: 'beta', ...beta }
  const paces: (number | undefined)[] = []
  const flow = new FlowControl({
    clock,
    degradeAfterMs: 1000,
    isOn: true,
    standbys: () => [standby],
    isGone: () => false,
    contentBytes: () => 0,
    journalBytesMax: 1_000_000,
    nextWrite: () => 0,
    changed: (pace) => paces.push(pace?.changesPerSecond),
    resume: () => undefined,
  })
  flow.appended(1, 100)
  clock.advance(1_500)
  expect(paces).toEqual([])
  // What it lacks fills the journal, so that it is paced for at once.
  standby = { ...standby, lag: { lagSeq: 1, lagBytes: 900_000, lagMs: 1_500 } }
  clock.advance(200)
  // It ends at once, as nobody writes that fast.
  expect(paces.slice(0, 2)).toEqual([4, undefined])
  flow.close()
})
