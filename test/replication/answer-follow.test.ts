/** The active's answer to a node that wants to follow it. */
import { expect, it } from 'vitest'
import type { Term } from '../../src/history/position.js'
import { answerTo } from '../../src/replication/stream/answer-follow.js'
import type { FollowMessage } from '../../src/replication/stream/messages.js'
import type { OutgoingContext } from '../../src/replication/stream/outgoing-types.js'
import { memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, TestState, testPolicy } from '../copy/support.js'

it.each<{ what: string; promised: (own: Term) => Term | undefined; answer: string }>([
  { what: 'nothing', promised: () => undefined, answer: 'none' },
  { what: 'its term', promised: (own) => own, answer: 'none' },
  { what: 'a lower one', promised: (own) => ({ ...own, epoch: own.epoch - 1 }), answer: 'none' },
  {
    what: 'a higher one',
    promised: (own) => ({ ...own, epoch: own.epoch + 1, nodeId: 'gamma' }),
    answer: 'STALE_TERM',
  },
  {
    what: 'another one of its epoch',
    promised: (own) => ({ ...own, nodeId: 'gamma' }),
    answer: 'STALE_TERM',
  },
])('a follower that promised $what gets $answer', async ({ promised, answer }) => {
  const copy = await openCopy(await memory().open(owner()), testPolicy(new TestState()))
  const maker = new EntryMaker({ epoch: 5, nodeId: 'alpha', bootId: 'boot' })
  copy.append(maker.open())
  copy.append(maker.batch(put('docs/a', 'a')))
  const { term } = maker
  const context = {
    copy,
    serving: () => ({ term, source: {} }),
    refusal: () => undefined,
    readableAfter: () => 0,
    newRestoreId: () => 'r',
  } as unknown as OutgoingContext
  const follow: FollowMessage = {
    type: 'follow',
    term,
    promised: promised(term),
    extent: copy.extent,
    complete: true,
    repair: false,
  }
  const given = answerTo(follow, 'beta', context)
  expect('code' in given ? given.code : given.plan.method).toBe(answer)
  await copy.close()
})
