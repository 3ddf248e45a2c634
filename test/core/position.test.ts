import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareFreshness,
  type Extent,
  type HistoryTerm,
  historyTermsMax,
  positionOf,
  relate,
  withTerm,
} from '../../src/history/position.js'

function term(epoch: number, firstSeq: number, nodeId = 'a'): HistoryTerm {
  return { epoch, nodeId, bootId: `${nodeId}1`, firstSeq }
}

const line = [term(1, 1), term(2, 5, 'b')]

describe('relate', () => {
  const cases: [string, Extent, Extent, string, number][] = [
    ['both empty', { history: [], seq: 0 }, { history: [], seq: 0 }, 'equal', 0],
    ['one empty', { history: [], seq: 0 }, { history: line, seq: 6 }, 'behind', 0],
    ['the same', { history: line, seq: 6 }, { history: line, seq: 6 }, 'equal', 6],
    ['a prefix', { history: [term(1, 1)], seq: 3 }, { history: line, seq: 6 }, 'behind', 3],
    [
      'to the end of a term',
      { history: [term(1, 1)], seq: 4 },
      { history: line, seq: 6 },
      'behind',
      4,
    ],
    [
      'beyond the fork',
      { history: [term(1, 1)], seq: 9 },
      { history: line, seq: 6 },
      'diverged',
      4,
    ],
    [
      'a term without changes',
      { history: [...line, term(3, 7)], seq: 6 },
      { history: line, seq: 6 },
      'equal',
      6,
    ],
    [
      'one epoch of two nodes',
      { history: [term(1, 1), term(2, 5, 'c')], seq: 6 },
      { history: line, seq: 6 },
      'diverged',
      4,
    ],
    [
      'nothing in common',
      { history: [term(1, 1, 'x')], seq: 2 },
      { history: line, seq: 6 },
      'unrelated',
      0,
    ],
    [
      'both empty in one term, and then each with changes of its own',
      { history: [term(1, 1)], seq: 1 },
      { history: [term(1, 0), term(2, 1, 'b')], seq: 2 },
      'diverged',
      0,
    ],
    [
      'both empty in one term, and then each in a term of its own',
      { history: [term(1, 0), term(3, 1, 'c')], seq: 1 },
      { history: [term(1, 0), term(2, 1, 'b')], seq: 2 },
      'diverged',
      0,
    ],
    [
      'one that continued in a term in which it had been empty',
      { history: [term(1, 0)], seq: 2 },
      { history: [term(1, 1)], seq: 3 },
      'behind',
      2,
    ],
    [
      'another start of a term',
      { history: [term(1, 2)], seq: 2 },
      { history: [term(1, 1)], seq: 2 },
      'unrelated',
      0,
    ],
  ]
  for (const [name, left, right, kind, commonSeq] of cases) {
    it(name, () => {
      expect(relate(left, right)).toEqual({ kind, commonSeq })
      const mirrored = { behind: 'ahead', ahead: 'behind' }[kind] ?? kind
      expect(relate(right, left)).toEqual({ kind: mirrored, commonSeq })
    })
  }
})

/**
 * Copies that come from one tree of histories, as real ones do: grown, opened, copied and forked.
 */
const copies = fc
  .array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(4)), { minLength: 1, maxLength: 30 })
  .map((steps) => {
    const nodes: Extent[] = Array.from({ length: 4 }, () => ({ history: [], seq: 0 }))
    let epoch = 0
    for (const [at, from, grow] of steps) {
      const copy = nodes[from] ?? { history: [], seq: 0 }
      epoch += 1
      const history = withTerm(
        copy.history,
        { epoch, nodeId: `n${at}`, bootId: `${epoch}` },
        copy.seq,
      )
      nodes[at] = { history, seq: copy.seq + grow }
    }
    return nodes
  })

describe('compareFreshness', () => {
  it('ROL-17: orders any copies of one cluster totally', () => {
    fc.assert(
      fc.property(copies, (nodes) => {
        for (const left of nodes) {
          expect(compareFreshness(left, left)).toBe(0)
          for (const right of nodes) {
            const forth = Math.sign(compareFreshness(left, right))
            expect(forth + Math.sign(compareFreshness(right, left))).toBe(0)
            for (const third of nodes) {
              const on = Math.sign(compareFreshness(right, third))
              if (forth > 0 && on > 0) expect(compareFreshness(left, third)).toBeGreaterThan(0)
            }
          }
        }
      }),
    )
  })

  it('ROL-17: a copy is never fresher than one that continues it', () => {
    fc.assert(
      fc.property(copies, (nodes) => {
        for (const left of nodes) {
          for (const right of nodes) {
            if (relate(left, right).kind === 'behind')
              expect(compareFreshness(left, right)).toBe(-1)
          }
        }
      }),
    )
  })
})

describe('withTerm', () => {
  it('drops terms without changes, and keeps the newest ones above the limit', () => {
    expect(withTerm([term(1, 1), term(2, 5)], term(3, 0), 4)).toEqual([term(1, 1), term(3, 5)])
    const many = Array.from({ length: historyTermsMax }, (_, at) => term(at + 1, at + 1))
    const next = withTerm(many, term(5_000, 0), historyTermsMax)
    expect(next).toHaveLength(historyTermsMax)
    expect(next.at(-1)?.epoch).toBe(5_000)
  })

  it('positionOf ignores a last term without changes', () => {
    expect(positionOf({ history: [term(1, 1), term(2, 4, 'b')], seq: 3 })?.term.epoch).toBe(1)
    expect(positionOf({ history: [term(1, 1)], seq: 0 })).toBeUndefined()
  })
})
