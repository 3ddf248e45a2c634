import { expect, it } from 'vitest'
import { FlowControl, type FlowStandby } from '../../src/replication/in-sync/flow-control.js'
import { TestClock } from '../support/clock.js'

const degradeAfterMs = 1000

/** Flow control with standbys that the test adds and removes. */
function flowFor(...ids: string[]): {
  readonly flow: FlowControl
  readonly clock: TestClock
  readonly standbys: Map<string, FlowStandby>
  readonly gone: Set<string>
  readonly told: string[]
  readonly paces: (number | undefined)[]
} {
  const clock = new TestClock()
  const standbys = new Map(ids.map((id) => [id, standby(id, 1000, 1)]))
  const gone = new Set<string>()
  const told: string[] = []
  const paces: (number | undefined)[] = []
  const flow = new FlowControl({
    clock,
    degradeAfterMs,
    isOn: true,
    followers: { standbys: () => [...standbys.values()], isGone: (id) => gone.has(id) },
    copy: { contentBytes: 0, journalBytesMax: 1_000_000 },
    queue: { nextNumber: 0 },
    emit: (event) => {
      const pace = event.name === 'writersPaced' ? event.pace : undefined
      told.push('pace' in event ? `paced for ${event.pace.id}` : `released ${event.peer}`)
      paces.push(pace?.changesPerSecond)
    },
    resume: () => undefined,
  })
  return { flow, clock, standbys, gone, told, paces }
}

function standby(id: string, lagBytes: number, lagMs: number): FlowStandby {
  const lag = { lagSeq: 1, lagBytes, lagMs }
  return { id, lag, inSet: false, restores: false, restoredBytes: 0, arrivedBytes: 0 }
}

it('writers are never paced to less than four writes a second, also after a time without writes', () => {
  const { flow, clock, standbys, paces } = flowFor('beta')
  flow.appended(1, 100)
  clock.advance(1_500)
  expect(paces).toEqual([])
  // Its lag nearly fills the journal, so pacing begins at once.
  standbys.set('beta', standby('beta', 900_000, 1_500))
  clock.advance(200)
  // Pacing ends at once, because writers are slower than the lowest rate.
  expect(paces.slice(0, 2)).toEqual([4, undefined])
  flow.close()
})

/** Writers that append steadily and are paced at once, because the standby lacks so much. */
function pacedFor(id: string): ReturnType<typeof flowFor> & { run: (ms: number) => void } {
  const scene = flowFor(id)
  const run = (ms: number): void => {
    for (let left = ms; left > 0; left -= 50) {
      scene.flow.appended(1, 10_000)
      scene.flow.allowance(1)
      scene.clock.advance(50)
    }
  }
  run(1_000)
  scene.standbys.set(id, standby(id, 900_000, 1_500))
  run(200)
  expect(scene.told).toEqual([`paced for ${id}`])
  return { ...scene, run }
}

it('the pace stays as it is for a while after the stream of its standby ended', () => {
  const { flow, standbys, told, run } = pacedFor('beta')
  standbys.delete('beta')
  run(100)
  const pace = flow.pace?.changesPerSecond ?? 0
  run(5 * degradeAfterMs - 300)
  expect(flow.pace?.changesPerSecond).toBeLessThanOrEqual(pace)
  run(400)
  expect(told).toEqual(['paced for beta', 'released beta'])
  flow.close()
})

it('pacing ends at once when its standby is known to be gone', () => {
  const { flow, standbys, gone, told, run } = pacedFor('beta')
  standbys.delete('beta')
  gone.add('beta')
  run(100)
  expect(told).toEqual(['paced for beta', 'released beta'])
  flow.close()
})

it('when pacing moves to another standby, the pace is kept for that one in the same way', () => {
  const { flow, standbys, told, run } = pacedFor('beta')
  standbys.set('gamma', standby('gamma', 900_000, 1_500))
  standbys.delete('beta')
  for (let ms = 0; flow.pace?.id === 'beta' && ms < 10 * degradeAfterMs; ms += 50) run(50)
  expect(flow.pace?.id).toBe('gamma')
  standbys.delete('gamma')
  run(2 * degradeAfterMs)
  expect(flow.pace?.id).toBe('gamma')
  expect(told).toEqual(['paced for beta'])
  flow.close()
})
