import { describe, expect, it } from 'vitest'
import { FlowPeer } from '../../src/replication/in-sync/flow-peer.js'

describe('the gain of a standby from pacing', () => {
  it('is measured only once writers are as slow as the pace, not while they are still faster', () => {
    const patienceMs = 2000
    const peer = new FlowPeer('beta', patienceMs, Number.POSITIVE_INFINITY)
    const stepMs = 100
    let lag = 1_000_000
    let done = 0
    const wanted: (number | undefined)[] = []
    for (let step = 1; step <= 130; step += 1) {
      // The standby processes 1 000 bytes a millisecond. Writers are faster for 2 s, then a little
      // slower.
      const appends = step <= 20 ? 3000 : 800
      done += 1000 * stepMs
      lag += (appends - 1000) * stepMs
      peer.measure({
        inSet: false,
        lag: { lagSeq: 1, lagBytes: lag, lagMs: 5000 },
        work: { lag, done },
        restores: false,
        restoredBytes: 0,
        contentBytes: 0,
        nowMs: step * stepMs,
        sinceMs: stepMs,
        stepMs,
        appendRate: appends,
      })
      wanted.push(peer.wanted(1, step <= 20 ? 3000 : 500))
    }
    expect(wanted.slice(3)).not.toContain(undefined)
  })
})
