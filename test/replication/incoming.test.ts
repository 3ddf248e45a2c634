/** The follower's side of a stream: which plan it takes. */

import { expect, it } from 'vitest'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { Term } from '../../src/history/position.js'
import type { Channel } from '../../src/protocol/channel.js'
import { Incoming } from '../../src/replication/stream/incoming.js'
import type { IncomingContext, IncomingEvent } from '../../src/replication/stream/incoming-types.js'
import { memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, TestState, testPolicy } from '../copy/support.js'
import { settle, TestClock } from '../support/clock.js'

const followed: Term = { epoch: 5, nodeId: 'alpha', bootId: 'boot' }

interface Follower {
  readonly copy: LocalCopy
  readonly incoming: Incoming
  readonly events: IncomingEvent[]
  /** The types of the messages that it sent. */
  readonly sent: string[]
  /** Delivers a message of the active. */
  say(message: unknown): void
  /** Ends the connection. */
  end(cause: string): void
}

/** A follower of the term above, with one change in its copy, that has begun its stream. */
async function follow(): Promise<Follower> {
  const copy = await openCopy(await memory().open(owner('beta')), testPolicy(new TestState()))
  const maker = new EntryMaker()
  copy.append(maker.open())
  copy.append(maker.batch(put('docs/a', 'a')))
  await copy.settle()
  const sent: string[] = []
  let say: Follower['say'] = () => undefined
  let end: Follower['end'] = () => undefined
  const channel = {
    onMessage: (given: typeof say) => {
      say = given
    },
    onFrame: () => undefined,
    onClose: (given: typeof end) => {
      end = given
    },
    sendMessage: ({ type }: { type: string }) => sent.push(type),
    send: () => true,
    destroy: () => undefined,
  }
  const events: IncomingEvent[] = []
  const context = {
    copy,
    clock: new TestClock(),
    degradeAfterMs: 2_000,
    vault: { dropUnused: async () => undefined },
    promised: () => followed,
    dial: async () => channel as unknown as Channel,
    report: (event: IncomingEvent) => events.push(event),
  } as unknown as IncomingContext
  const incoming = new Incoming(context, 'alpha', followed)
  incoming.start()
  await settle()
  return {
    copy,
    incoming,
    events,
    sent,
    say: (message) => say(message),
    end: (cause) => end(cause),
  }
}

/** Its reaction to a plan of this term. */
async function answerTo(planTerm: Term): Promise<Pick<Follower, 'events' | 'sent'>> {
  const { copy, incoming, events, sent, say } = await follow()
  const { seq: commonSeq, extent: cut } = copy
  const facts = { method: 'none', restoreId: 'r', inSync: [], ackedSeq: 0, diverged: false }
  say({ type: 'plan', ...facts, term: planTerm, cut, commonSeq })
  await settle()
  incoming.stop()
  await copy.close()
  return { events, sent }
}

it('a plan of the followed term is accepted', async () => {
  const { events, sent } = await answerTo(followed)
  expect(events).toMatchObject([{ name: 'started' }])
  expect(sent).toEqual(['follow', 'ready'])
})

it.each([
  { what: 'a higher epoch', term: { ...followed, epoch: 6 } },
  { what: 'a lower epoch', term: { ...followed, epoch: 4 } },
  { what: 'another process', term: { ...followed, bootId: 'later' } },
  { what: 'another node', term: { ...followed, nodeId: 'gamma' } },
])('a plan of $what is refused, because that term is not followed', async ({ term }) => {
  const { events, sent } = await answerTo(term)
  expect(events).toMatchObject([{ name: 'broken', code: 'STALE_TERM' }])
  expect(sent).toEqual(['follow'])
})

it('the end of a connection is reported with a code, like every other end of a stream', async () => {
  const { copy, events, end } = await follow()
  end('reset')
  const reason = 'the stream from alpha ended (reset)'
  expect(events).toEqual([{ name: 'broken', peer: 'alpha', code: 'CONNECTION_CLOSED', reason }])
  await copy.close()
})
