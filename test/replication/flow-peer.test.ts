import { describe, expect, it } from 'vitest'
import { FlowPeer } from '../../src/replication/in-sync/flow-peer.js'

describe('whether pacing for a standby is of any use', () => {
  it('is judged from when the pace is in force, not from when writers were still fast', () => {
    const patienceMs = 2000
    const peer = new FlowPeer('beta', patienceMs, Number.POSITIVE_INFINITY)
    const stepMs = 100
    let lag = 1_000_000
    let done = 0
    const wanted: (number | undefined)[] = []
    for (let step = 1; step <= 130; step += 1) {
      // It takes 1 000 bytes in a millisecond. Writers are faster for 2 s, and a little slower from
      // then on.
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
