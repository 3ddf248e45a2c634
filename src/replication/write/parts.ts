/**
 * Creates the parts of a writer and connects them; the head of `writer.ts` has a picture. A part
 * gets the parts that it works on directly; calls back to a part that is created later, or to the
 * writer, are functions.
 */

import type { HotspareError } from '../../errors.js'
import { BlobSpool } from '../content/blob-spool.js'
import { FlowControl } from '../in-sync/flow-control.js'
import { InSyncSet } from '../in-sync/in-sync.js'
import { AckQueues } from './ack-queues.js'
import { BatchLoop } from './batch-loop.js'
import { ClassRules } from './class-rules.js'
import { WriteIntake } from './intake.js'
import { NewPaths } from './path-check.js'
import { WriteQueue } from './queue.js'
import { Sequencer } from './sequencer.js'
import type { WriterOptions } from './types.js'

export interface WriterParts {
  readonly spool: BlobSpool
  readonly queue: WriteQueue
  readonly intake: WriteIntake
  readonly queues: AckQueues
  readonly inSync: InSyncSet
  readonly flow: FlowControl
  readonly sequencer: Sequencer
  readonly batches: BatchLoop
}

/** What the parts need of their writer. */
export interface WriterHost {
  isClosed(): boolean
  /** Whether this node may act as active now. */
  isTenured(): boolean
  /** Something progressed: writes may be acknowledged or sequenced. */
  advance(): void
  /** A round of batches ended. Answers whether writes were acknowledged. */
  whenRoundEnded(): boolean
  /** The journal failed and accepts no entries any more. */
  close(error: HotspareError): void
}

export function connectParts(options: WriterOptions, host: WriterHost): WriterParts {
  const { copy, clock, limits, term, members, nodeId } = options
  const queues = new AckQueues()
  const noRoomFor = (bytes: number): string | undefined => options.noRoomFor?.(bytes)
  const { objects } = options.storage
  const { random, blobs: distribution, emit } = options
  const spool = new BlobSpool({ objects, random, limits, distribution, noRoomFor })
  const queue = new WriteQueue(limits.queueBytesMax, limits.queueWritesMax)
  const alone = members.every(({ id, promotable }) => id === nodeId || !promotable)
  const inSync = new InSyncSet({
    clock,
    degradeAfterMs: options.degradeAfterMs,
    onNoStandby: options.onNoStandby,
    degraded: options.degraded || alone,
    lastOrdinal: copy.lastOrdinal,
    lastSeq: copy.seq,
    append: (set) => (host.isClosed() ? undefined : sequencer.appendInSync(set)),
    emit,
    changed: () => host.advance(),
  })
  const rules = new ClassRules(options.policy)
  const intake = new WriteIntake({ rules, limits, queue, queues, inSync, spool, noRoomFor })
  const newPaths = new NewPaths({
    copy,
    queue,
    writesMax: limits.batchChangesMax,
    ready: () => batches.schedule(),
  })
  const flow = new FlowControl({
    clock,
    degradeAfterMs: options.degradeAfterMs,
    isOn: options.flowControl === 'redundancy' && !alone,
    followers: inSync,
    copy,
    queue,
    emit,
    resume: () => {
      if (!queue.isEmpty) batches.schedule()
    },
  })
  const entries = { copy, clock, limits, term, queue, queues }
  const sequencer: Sequencer = new Sequencer({
    ...entries,
    newPaths,
    intake,
    inSync,
    flow,
    failed: (error) => host.close(error),
  })
  const batches: BatchLoop = new BatchLoop({
    copy,
    limits,
    queue,
    newPaths,
    flow,
    sequencer,
    mayAct: () => host.isTenured(),
    roundEnded: () => host.whenRoundEnded(),
    failed: (error) => host.close(error),
  })
  return { spool, queue, intake, queues, inSync, flow, sequencer, batches }
}
