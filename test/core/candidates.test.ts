import { describe, expect, it } from 'vitest'
import { bestCandidate, type Standing } from '../../src/core/standing/candidates.js'

const history = [{ epoch: 1, nodeId: 'n1', bootId: 'b', firstSeq: 1 }]

function standing(index: number, seq: number, firstSeq?: number): Standing {
  const copy = {
    ...{ history, seq, durableSeq: seq, firstSeq, complete: true },
    ...{ inSync: undefined, inSyncKnown: false, ineligible: undefined },
  }
  const facts = { known: undefined, lastStop: 'crashed' } as const
  return { id: `n${index + 1}`, index, promotable: true, dialable: true, copy, ...facts }
}

describe('the best candidate', () => {
  it('ROL-4: is the first listed that can fetch what it lacks', () => {
    const all = [standing(0, 50), standing(1, 60), standing(2, 70)]
    expect(bestCandidate(all, new Set(), 'list')?.id).toBe('n1')
  })

  it('ROL-20: is no member that lacks entries which the freshest journal no longer has', () => {
    const all = [standing(0, 50), standing(1, 60), standing(2, 70, 61)]
    expect(bestCandidate(all, new Set(), 'list')?.id).toBe('n2')
    const trimmed = [standing(0, 50), standing(1, 60), standing(2, 70, 62)]
    expect(bestCandidate(trimmed, new Set(), 'list')?.id).toBe('n3')
  })
})
