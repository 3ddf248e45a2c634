import { expect, test } from 'vitest'
import type { Entry } from '../../src/changes/entry.js'
import { inSyncOf, readEntry } from '../../src/changes/entry.js'
import type { Channel } from '../../src/protocol/channel.js'
import { frameTypes } from '../../src/replication/frame-types.js'
import { acknowledgeParts } from '../../src/replication/stream/messages.js'
import { Outgoing } from '../../src/replication/stream/outgoing.js'
import type { OutgoingContext } from '../../src/replication/stream/outgoing-types.js'
import { memory } from '../../src/storage/memory.js'
import { EntryMaker, openCopy, owner, put, TestState, testPolicy } from '../copy/support.js'

/** A stream to a follower that accepts frames only while it is not blocked. */
async function stream() {
  const copy = await openCopy(await memory().open(owner()), testPolicy(new TestState()))
  const maker = new EntryMaker()
  const ordinals = new Map<number, number>()
  const append = (entry: Entry): void => {
    const { ordinal } = copy.append(entry)
    ordinals.set(entry.header.firstSeq + entry.header.count - 1, ordinal)
  }
  append(maker.open())
  append(maker.batch(put('docs/a', 'first')))
  let say: (message: unknown) => void = () => undefined
  let acknowledge: (type: number, payload: Uint8Array) => void = () => undefined
  let blocked: Promise<void> | undefined
  let release = (): void => undefined
  const sent: Entry[] = []
  const channel = {
    identity: { nodeId: 'beta' },
    payloadBytesMax: 1024 * 1024,
    queuedBytes: 0,
    onMessage: (given: typeof say) => {
      say = given
    },
    onFrame: (given: typeof acknowledge) => {
      acknowledge = given
    },
    onClose: () => undefined,
    sendMessage: () => true,
    send: (_type: number, parts: readonly Uint8Array[]) => {
      const entry = readEntry(Buffer.concat(parts))
      if (typeof entry === 'string') throw new Error(entry)
      sent.push(entry)
      return blocked === undefined
    },
    drained: () => blocked ?? Promise.resolve(),
    destroy: () => undefined,
    close: () => undefined,
  }
  const told: { received: number; durable: number }[] = []
  const follower = {
    received: (received: number, durable: number) => told.push({ received, durable }),
    begins: () => {},
    caughtUp: () => undefined,
    leave: () => undefined,
    lost: () => undefined,
  }
  const { term } = maker
  const context = {
    copy,
    serving: () => ({ term, source: { addFollower: () => follower } }),
    refusal: () => undefined,
    promotable: () => true,
    readableAfter: () => 0,
    unreadable: () => undefined,
    newRestoreId: () => 'r',
    report: () => undefined,
  }
  new Outgoing(channel as unknown as Channel, context as unknown as OutgoingContext)
  await copy.flush()
  say({ type: 'follow', term, extent: copy.extent, complete: true, repair: false })
  say({ type: 'ready' })
  return {
    copy,
    maker,
    append,
    sent,
    told,
    ordinals,
    block: () => {
      blocked = new Promise((resolve) => {
        release = () => {
          blocked = undefined
          resolve()
        }
      })
    },
    release: () => release(),
    acknowledge: (received: number, durable: number) =>
      acknowledge(frameTypes.acknowledge, Buffer.concat(acknowledgeParts(received, durable))),
  }
}

const turns = async (isOver: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 5000 && !isOver(); turn += 1) await new Promise(setImmediate)
}

test('an acknowledgement counts for the entries up to its number, also after the follower was blocked', async () => {
  const { copy, maker, append, sent, told, ordinals, block, release, acknowledge } = await stream()
  await turns(() => sent.length > 0)
  let acknowledged = 0
  for (const [round, count] of [30, 12_000, 30, 500].entries()) {
    block()
    for (let n = 0; n < count; n += 1) {
      append(n % 7 === 3 ? maker.inSync(['beta']) : maker.batch(put('docs/a', `${round}`)))
    }
    await copy.flush()
    release()
    await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
    append(maker.batch(put('docs/a', 'live again')))
    await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
    // Acknowledges in steps; never more counts than the follower has.
    for (let number = acknowledged; number < sent.length; number += 97) {
      acknowledge(number, Math.max(acknowledged, number - 50))
      const last = told.at(-1)
      if (last === undefined || number === 0) continue
      expect(last.received).toBeLessThanOrEqual(ordinals.get(lastSeqOf(sent[number - 1])) ?? 0)
      expect(last.durable).toBeLessThanOrEqual(last.received)
    }
    acknowledged = sent.length
    acknowledge(acknowledged, acknowledged)
    expect(told.at(-1)).toEqual({ received: copy.lastOrdinal, durable: copy.lastOrdinal })
  }
  await copy.close()
})

test('entries for a blocked follower stay in the journal until it accepts more', async () => {
  const { copy, maker, append, sent, block, release } = await stream()
  await turns(() => sent.length > 0)
  append(maker.batch(put('docs/a', 'live')))
  await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
  const before = sent.length
  block()
  for (let n = 0; n < 50; n += 1) append(maker.batch(put('docs/a', `${n}`)))
  await copy.flush()
  await turns(() => sent.length > before + 1)
  // The feed notices that there is no room only after sending one more entry.
  expect(sent.length).toBe(before + 1)
  release()
  await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
  expect(sent.slice(before).map(lastSeqOf)).toEqual(Array.from({ length: 50 }, (_, n) => 3 + n))
  await copy.close()
})

test('in-sync sets are not sent twice after the follower was blocked', async () => {
  const { copy, maker, append, sent, block, release } = await stream()
  await turns(() => sent.length > 0)
  append(maker.batch(put('docs/a', 'live')))
  await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
  const before = sent.length
  append(maker.inSync(['beta', 'gamma']))
  block()
  // In-sync sets have no sequence number of their own, so a reader that starts after the last
  // change repeats all of them.
  append(maker.inSync(['gamma']))
  append(maker.inSync(['gamma', 'delta']))
  append(maker.batch(put('docs/a', 'blocked')))
  release()
  await turns(() => lastSeqOf(sent.at(-1)) === copy.seq)
  const sets = sent
    .slice(before)
    .flatMap((entry) => (entry.header.kind === 'inSync' ? [inSyncOf(entry)] : []))
  expect(sets).toEqual([['beta', 'gamma'], ['gamma'], ['gamma', 'delta']])
  await copy.close()
})

function lastSeqOf(entry: Entry | undefined): number {
  return entry === undefined ? 0 : entry.header.firstSeq + entry.header.count - 1
}
