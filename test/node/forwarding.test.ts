import { describe, expect, it } from 'vitest'
import type { WriteIntent } from '../../src/changes/intent.js'
import { HotspareError } from '../../src/errors.js'
import { FilesApi } from '../../src/node/writes/files.js'
import { ForwardedWrites } from '../../src/node/writes/forwarded.js'
import {
  Forwarding,
  type ForwardingContext,
  heldBytesMax,
  windowWrites,
} from '../../src/node/writes/forwarding.js'
import type { Receipt } from '../../src/replication/write/types.js'
import { gateTo, openWriter, policy } from '../replication/writer-support.js'
import { settle, TestClock } from '../support/clock.js'

// Writes that are held during a switchover, without the nodes around them.

const holdMs = 10_000
const term = { epoch: 2, nodeId: 'beta', bootId: 'b' }
const receipt: Receipt = {
  position: { term, seq: 1 },
  ack: 'local',
  durable: true,
  degraded: false,
}
const gaveUp = (): HotspareError => new HotspareError('NOT_ACTIVE', 'alpha gave up the role')
const update = (value: unknown): WriteIntent => ({ kind: 'update', className: 'state', value })
const blob = { id: 'b1', length: 1_000_000, sha256: new Uint8Array(32) }
const large = { kind: 'put', className: 'files', path: 'files/a', mode: 0o644, blob } as const

/** How a write ended, or that it did not. */
async function endOf(work: Promise<unknown>): Promise<string> {
  const pending = Promise.resolve('pending')
  const end = work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  )
  await settle()
  return await Promise.race([end, pending])
}

interface Sender {
  readonly forwarding: Forwarding
  readonly clock: TestClock
  /** What was sent. */
  readonly sent: { readonly to: string; readonly id: string }[]
  readonly discarded: WriteIntent[]
  hold(): void
  add(value: unknown, signal?: AbortSignal): Promise<Receipt>
  /** The target answers with this. */
  answer(index: number, answer: object, from?: string): void
}

function senderOf(given: Partial<ForwardingContext> = {}): Sender {
  const clock = new TestClock()
  const sent: { to: string; id: string }[] = []
  const discarded: WriteIntent[] = []
  const forwarding = new Forwarding({
    clock,
    bootId: 'a',
    holdMs,
    bytesMax: 500_000,
    send: (to, _type, body) => {
      sent.push({ to, id: (body as { id: string }).id })
      return true
    },
    hasRoom: () => true,
    submit: async () => receipt,
    discard: (intent) => void discarded.push(intent),
    ...given,
  })
  return {
    forwarding,
    clock,
    sent,
    discarded,
    hold: () => forwarding.hold([], gaveUp()),
    add: (value, signal) => forwarding.add(update(value), { signal }),
    answer: (index, answer, from = 'beta') =>
      forwarding.onForwarded(from, { id: sent[index]?.id, ...answer }),
  }
}

/** A sender and its target, which takes `applyMs` for each write. */
function pairOf(applyMs: number): Sender & { readonly applied: unknown[] } {
  const applied: unknown[] = []
  const sender = senderOf({
    send: (_to, _type, body) => {
      queueMicrotask(() => receiver.onForward('alpha', body))
      return true
    },
  })
  const receiver = new ForwardedWrites({
    send: (_to, _type, body) => {
      queueMicrotask(() => sender.forwarding.onForwarded('beta', body))
      return true
    },
    submit: async (intent) => {
      if (intent.kind === 'update') applied.push(intent.value)
      await new Promise<void>((resolve) => sender.clock.setTimer(applyMs, resolve))
      return receipt
    },
  })
  return { ...sender, applied }
}

describe('held writes', () => {
  it('are applied once each and in order, for any number and duration', async () => {
    const { hold, add, forwarding, clock, applied } = pairOf(1_200)
    hold()
    const values = Array.from({ length: 15_000 }, (_, at) => at)
    const all = values.map((value) => add(value))
    forwarding.flush('beta')
    await clock.pass(60_000)
    expect(applied).toEqual(values)
    await Promise.all(all)
  })

  it('end with ABORTED when their signal aborts, and are not sent', async () => {
    const { hold, add, forwarding, discarded, sent } = senderOf()
    hold()
    const abort = new AbortController()
    const write = add(1, abort.signal)
    abort.abort()
    expect(await endOf(write)).toBe('ABORTED')
    expect(await endOf(add(2, abort.signal))).toBe('ABORTED')
    expect(discarded).toHaveLength(2)
    forwarding.flush('beta')
    expect(sent).toEqual([])
  })

  it('above the limit of bytes are refused', async () => {
    const { hold, add, forwarding } = senderOf()
    hold()
    const half = new Uint8Array(heldBytesMax / 2 + 1)
    const first = add(half)
    expect(await endOf(add(half))).toBe('QUEUE_FULL')
    forwarding.release(gaveUp())
    expect(await endOf(first)).toBe('NOT_ACTIVE')
    hold()
    expect(await endOf(add(half))).toBe('pending')
    forwarding.release(gaveUp())
  })

  it('that are too large to be sent leave no content behind', async () => {
    const { forwarding, discarded } = senderOf()
    for (const end of [() => forwarding.flush('beta'), () => forwarding.release(gaveUp())]) {
      forwarding.hold([], gaveUp())
      const write = forwarding.add({ ...large, bytes: undefined } as never, {})
      end()
      expect(await endOf(write)).toBe('NOT_ACTIVE')
    }
    expect(discarded).toHaveLength(2)
  })

  it('that fit into no frame end alone', async () => {
    let refuses = true
    const { hold, add, forwarding } = senderOf({
      send: () => {
        if (refuses) throw new HotspareError('FRAME_TOO_LARGE')
        return true
      },
    })
    hold()
    const write = add({ many: 'fields' })
    forwarding.flush('beta')
    refuses = false
    expect(await endOf(write)).toBe('NOT_ACTIVE')
  })

  it('wait for room on the link, also when they are repeated', async () => {
    let hasRoom = false
    const { hold, add, forwarding, clock, sent } = senderOf({ hasRoom: () => hasRoom })
    hold()
    void add(1).catch(() => undefined)
    forwarding.flush('beta')
    await clock.pass(1_000)
    expect(sent).toHaveLength(0)
    hasRoom = true
    await clock.pass(500)
    expect(sent).toHaveLength(1)
    hasRoom = false
    await clock.pass(2_000)
    expect(sent).toHaveLength(1)
    hasRoom = true
    await clock.pass(500)
    expect(sent).toHaveLength(2)
  })
})

describe('a forwarded write', () => {
  it('that is aborted may have happened', async () => {
    const { hold, add, forwarding } = senderOf()
    hold()
    const abort = new AbortController()
    const write = add(1, abort.signal)
    forwarding.flush('beta')
    abort.abort()
    expect(await endOf(write)).toBe('OUTCOME_UNKNOWN')
  })

  it('ends when the target is silent for too long; writes that were not sent have not happened', async () => {
    const { hold, add, forwarding, clock } = senderOf()
    hold()
    const writes = Array.from({ length: windowWrites + 1 }, (_, at) => add(at))
    const ends = Promise.all(writes.map((write) => write.catch(({ code }) => code)))
    forwarding.flush('beta')
    await clock.pass(holdMs + 1_000)
    expect(await ends).toEqual([
      ...Array.from({ length: windowWrites }, () => 'OUTCOME_UNKNOWN'),
      'NOT_ACTIVE',
    ])
  })

  it('waits for a target that is working on it', async () => {
    const { hold, add, forwarding, clock, applied } = pairOf(10 * holdMs)
    hold()
    const write = add(1)
    forwarding.flush('beta')
    await clock.pass(9 * holdMs)
    expect(await endOf(write)).toBe('pending')
    await clock.pass(2 * holdMs)
    expect(await endOf(write)).toBe('done')
    expect(applied).toEqual([1])
  })

  it('is answered only by the member that it was sent to', async () => {
    const { hold, add, forwarding, answer } = senderOf()
    hold()
    const write = add(1)
    forwarding.flush('beta')
    answer(0, { receipt }, 'gamma')
    expect(await endOf(write)).toBe('pending')
    answer(0, { receipt })
    expect(await endOf(write)).toBe('done')
  })

  it('whose answer is malformed or unknown may have happened', async () => {
    const { hold, add, forwarding, answer } = senderOf()
    hold()
    const write = add(1)
    forwarding.flush('beta')
    expect(() => answer(0, {})).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    expect(await endOf(write)).toBe('pending')
    answer(0, { error: { code: 'TOMORROW', message: 'what a later version says' } })
    expect(await endOf(write)).toBe('OUTCOME_UNKNOWN')
  })

  it('that is repeated after its answer is answered again and not applied again', async () => {
    const applied: WriteIntent[] = []
    const answers: unknown[] = []
    const receiver = new ForwardedWrites({
      send: (_to, _type, body) => answers.push(body) > 0,
      submit: async (intent) => {
        applied.push(intent)
        return receipt
      },
    })
    for (let times = 0; times < 3; times += 1) {
      receiver.onForward('alpha', { id: 'a-1', intent: update(1) })
      await settle()
    }
    expect(applied).toHaveLength(1)
    expect(answers).toEqual(Array.from({ length: 3 }, () => ({ id: 'a-1', receipt })))
    // The same id of another member is another write.
    receiver.onForward('gamma', { id: 'a-1', intent: update(2) })
    await settle()
    expect(applied).toHaveLength(2)
  })

  it('is answered without a result that fits into no frame', async () => {
    const answers: unknown[] = []
    const receiver = new ForwardedWrites({
      send: (_to, _type, body) => {
        const { receipt: sent } = body as { receipt: Receipt }
        if (sent.result !== undefined) throw new HotspareError('FRAME_TOO_LARGE')
        answers.push(body)
        return true
      },
      submit: async () => ({ ...receipt, result: 'long' }),
    })
    receiver.onForward('alpha', { id: 'a-1', intent: update(1) })
    await settle()
    expect(answers).toEqual([{ id: 'a-1', receipt }])
  })
})

describe('a switchover that is aborted', () => {
  it.each([
    ['small', 100],
    ['large', 50_000],
  ])('brings no %s write back whose caller gave it up meanwhile', async (_, bytes) => {
    const bench = await openWriter({ degraded: true })
    const files = new FilesApi({
      policy,
      gate: gateTo(bench.writer, bench.storage),
      copy: () => bench.copy,
    })
    bench.writer.freeze()
    const abort = new AbortController()
    const { signal } = abort
    const writes = [
      files.write('files/a', new Uint8Array(bytes), { signal }),
      files.write('files/b', new Uint8Array(bytes)),
    ]
    await new Promise((resolve) => setTimeout(resolve, 20))
    const { forwarding, discarded } = senderOf({
      submit: (intent, options) => bench.writer.submit(intent, options),
    })
    forwarding.hold(bench.writer.takeHeld(), gaveUp())
    abort.abort()
    bench.writer.unfreeze()
    forwarding.flushHere()
    const ends = await Promise.all(
      writes.map((write) =>
        write.then(
          () => 'done',
          ({ code }) => code,
        ),
      ),
    )
    expect(ends).toEqual(['ABORTED', 'done'])
    expect(discarded).toMatchObject([{ path: 'files/a' }])
    expect(bench.copy.batches().flat()).toMatchObject([{ path: 'files/b' }])
  })
})
