import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AckTracker, type Thresholds } from '../../src/replication/in-sync/ack-tracker.js'

/**
 * One line of a table: a call, and the thresholds after it as `standby/all` in memory, then on
 * disk.
 */
type Step =
  | ['add', id: string, ordinal: number, expected: string]
  | ['remove', id: string, ordinal: number, expected: string]
  | ['answer', id: string, received: number, durable: number, expected: string]
  | ['restart', id: string, expected: string]
  | ['local', durable: number, expected: string]

function shown({ standbyMemory, allMemory, standbyDisk, allDisk }: Thresholds): string {
  return `${standbyMemory}/${allMemory} ${standbyDisk}/${allDisk}`
}

/** What each follower had acknowledged before it was added. */
type Holdings = Record<string, [received: number, durable: number]>

const tables: Record<string, Step[]> = {
  'an addition counts only once it is durable on the active': [
    ['add', 'b', 5, '0/0 0/0'],
    ['answer', 'b', 5, 5, '0/0 0/0'],
    ['local', 4, '0/0 0/0'],
    ['local', 5, '5/5 5/5'],
  ],
  'a second addition counts only once it is durable on the first member': [
    ['add', 'b', 1, '0/0 0/0'],
    ['local', 1, '0/0 0/0'],
    ['answer', 'b', 1, 1, '1/1 1/1'],
    ['add', 'c', 2, '1/0 1/0'],
    ['local', 9, '1/0 1/0'],
    // c is ahead of b and does not count, because its addition is not durable on b.
    ['answer', 'c', 9, 9, '1/1 1/1'],
    ['answer', 'b', 9, 1, '9/9 1/1'],
    ['answer', 'b', 9, 2, '9/9 9/2'],
  ],
  'all waits for a member that is being added, although that member does not count': [
    ['add', 'b', 1, '0/0 0/0'],
    ['answer', 'b', 8, 8, '0/0 0/0'],
    ['local', 8, '8/8 8/8'],
    ['add', 'c', 9, '8/0 8/0'],
    ['answer', 'c', 3, 3, '8/3 8/3'],
  ],
  'a removal takes effect once it is durable on the active; until then all waits for the member': [
    ['add', 'b', 1, '0/0 0/0'],
    ['add', 'c', 2, '0/0 0/0'],
    ['answer', 'b', 7, 7, '0/0 0/0'],
    ['answer', 'c', 3, 3, '0/0 0/0'],
    ['local', 7, '7/3 7/3'],
    ['remove', 'c', 8, '7/3 7/3'],
    ['local', 8, '7/7 7/7'],
  ],
  'the acknowledgements of a member that is being removed do not count': [
    ['add', 'b', 1, '0/0 0/0'],
    ['local', 1, '0/0 0/0'],
    ['answer', 'b', 1, 1, '1/1 1/1'],
    ['remove', 'b', 2, '0/0 0/0'],
    ['answer', 'b', 9, 9, '0/0 0/0'],
  ],
  'an addition that is not durable on a member counts once that member is removed': [
    ['add', 'b', 1, '0/0 0/0'],
    ['answer', 'b', 1, 1, '0/0 0/0'],
    ['local', 1, '1/1 1/1'],
    ['add', 'c', 2, '1/0 1/0'],
    ['answer', 'c', 4, 4, '1/1 1/1'],
    ['remove', 'b', 5, '0/0 0/0'],
    ['local', 4, '0/0 0/0'],
    ['local', 5, '4/4 4/4'],
  ],
  'acknowledgements of a member that was removed and added again count from the second addition on':
    [
      ['add', 'b', 1, '0/0 0/0'],
      ['answer', 'b', 1, 1, '0/0 0/0'],
      ['local', 1, '1/1 1/1'],
      ['remove', 'b', 2, '0/0 0/0'],
      ['add', 'b', 3, '0/0 0/0'],
      ['local', 2, '0/0 0/0'],
      ['answer', 'b', 3, 3, '0/0 0/0'],
      ['local', 3, '3/3 3/3'],
    ],
  'a disk threshold never exceeds what is durable on the active': [
    ['add', 'b', 1, '0/0 0/0'],
    ['local', 1, '0/0 0/0'],
    ['answer', 'b', 9, 9, '9/9 1/1'],
    ['local', 6, '9/9 6/6'],
  ],
  'with a new stream the acknowledgements of a member start from 0': [
    ['add', 'b', 1, '0/0 0/0'],
    ['local', 9, '0/0 0/0'],
    ['answer', 'b', 9, 6, '9/9 6/6'],
    ['restart', 'b', '0/0 0/0'],
    ['answer', 'b', 7, 7, '7/7 7/7'],
  ],
  'a durable entry counts as received': [
    ['add', 'b', 1, '0/0 0/0'],
    ['local', 9, '0/0 0/0'],
    ['answer', 'b', 2, 5, '5/5 5/5'],
  ],
}

describe('acknowledgement thresholds (promise 4)', () => {
  for (const [title, steps] of Object.entries(tables)) {
    it(title, () => {
      const tracker = new AckTracker()
      for (const step of steps) {
        if (step[0] === 'add') tracker.add(step[1], step[2], 0, 0)
        else if (step[0] === 'remove') tracker.remove(step[1], step[2])
        else if (step[0] === 'answer') tracker.answer(step[1], step[2], step[3])
        else if (step[0] === 'restart') tracker.restart(step[1])
        else tracker.local(step[1])
        expect(shown(tracker.thresholds), step.join(' ')).toBe(step.at(-1))
      }
    })
  }

  it('a second addition, and a removal of a node that is no member, throw', () => {
    const tracker = new AckTracker()
    tracker.add('b', 1, 0, 0)
    expect(() => tracker.add('b', 2, 0, 0)).toThrow(/twice/)
    expect(() => tracker.remove('c', 2)).toThrow(/not in/)
    tracker.remove('b', 2)
    expect(() => tracker.remove('b', 3)).toThrow(/not in/)
  })
})

/** The definition of promise 4, implemented literally and without regard to cost. */
class NaiveModel {
  local = 0
  last = 0
  readonly journal: { ordinal: number; op: 'add' | 'remove'; id: string }[] = []
  readonly holds = new Map<string, [received: number, durable: number]>()
  /** Additions that have taken effect. */
  readonly counted = new Set<number>()

  /** The last entry of the journal about each member. */
  facts(): { ordinal: number; op: 'add' | 'remove'; id: string }[] {
    const ids = [...new Set(this.journal.map(({ id }) => id))]
    return ids.flatMap((id) => this.journal.findLast((fact) => fact.id === id) ?? [])
  }

  /** Members that some journal may name after a crash at this time. */
  named(): string[] {
    return this.facts()
      .filter(({ op, ordinal }) => op === 'add' || ordinal > this.local)
      .map(({ id }) => id)
  }

  counting(): string[] {
    let grown = true
    while (grown) {
      grown = false
      for (const { op, ordinal, id } of this.facts()) {
        if (op !== 'add' || this.counted.has(ordinal) || ordinal > this.local) continue
        const others = this.named().filter((other) => other !== id)
        if (!others.every((other) => (this.holds.get(other)?.[1] ?? 0) >= ordinal)) continue
        this.counted.add(ordinal)
        grown = true
      }
    }
    return this.facts()
      .filter(({ op, ordinal }) => op === 'add' && this.counted.has(ordinal))
      .map(({ id }) => id)
  }

  /** The last entry up to which the condition holds for all entries. */
  #upTo(holds: (ordinal: number) => boolean): number {
    let ordinal = 0
    while (ordinal < this.last && holds(ordinal + 1)) ordinal += 1
    return ordinal
  }

  thresholds(): Thresholds {
    const counting = this.counting()
    const named = this.named()
    const has = (id: string, at: 0 | 1, ordinal: number): boolean =>
      (this.holds.get(id)?.[at] ?? 0) >= ordinal
    const some = (at: 0 | 1) => (ordinal: number) => counting.some((id) => has(id, at, ordinal))
    const every = (at: 0 | 1) => (ordinal: number) =>
      counting.length > 0 && named.every((id) => has(id, at, ordinal))
    return {
      localDisk: this.local,
      standbyMemory: this.#upTo(some(0)),
      standbyDisk: this.#upTo((ordinal) => ordinal <= this.local && some(1)(ordinal)),
      allMemory: this.#upTo(every(0)),
      allDisk: this.#upTo((ordinal) => ordinal <= this.local && every(1)(ordinal)),
    }
  }
}

const ids = ['b', 'c', 'd']
const command = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('append' as const), id: fc.constantFrom(...ids) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('toggle' as const), id: fc.constantFrom(...ids) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('restart' as const), id: fc.constantFrom(...ids) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('local' as const), id: fc.constantFrom(...ids) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('answer' as const), id: fc.constantFrom(...ids) }),
  },
)
const script = fc.array(fc.tuple(command, fc.nat(1000), fc.nat(1000)), { maxLength: 80 })

describe('acknowledgement thresholds against a model that recomputes everything', () => {
  it('both agree after every step of random scripts', () => {
    fc.assert(
      fc.property(script, (steps) => {
        const tracker = new AckTracker()
        const model = new NaiveModel()
        const holdings: Holdings = { b: [0, 0], c: [0, 0], d: [0, 0] }
        for (const [{ op, id }, first, second] of steps) {
          const held = holdings[id] ?? [0, 0]
          if (op === 'append') {
            model.last += 1
          } else if (op === 'toggle') {
            model.last += 1
            const state = tracker.stateOf(id)
            const adds = state === undefined || state === 'removing'
            model.journal.push({ ordinal: model.last, op: adds ? 'add' : 'remove', id })
            model.holds.set(id, held)
            if (adds) tracker.add(id, model.last, ...held)
            else tracker.remove(id, model.last)
          } else if (op === 'restart') {
            holdings[id] = [0, 0]
            model.holds.set(id, [0, 0])
            tracker.restart(id)
          } else if (op === 'local') {
            model.local = Math.max(model.local, first % (model.last + 1))
            tracker.local(model.local)
          } else {
            const durable = Math.max(held[1], second % (model.last + 1))
            const received = Math.max(held[0], durable, first % (model.last + 1))
            holdings[id] = [received, durable]
            model.holds.set(id, [received, durable])
            tracker.answer(id, received, durable)
          }
          expect(tracker.countingMembers().sort()).toEqual(model.counting().sort())
          expect(tracker.thresholds).toEqual(model.thresholds())
        }
      }),
      { numRuns: 1000 },
    )
  })
})
