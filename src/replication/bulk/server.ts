/**
 * The answering side of a bulk lane: index pages, file stretches, state snapshots, blobs, journal
 * entries.
 *
 * Invariants: at most {@link bulkRequestsMax} requests wait; requests are answered in the order of
 * their arrival; at most {@link preparedMax} answers are prepared ahead, none longer than a frame,
 * and the next one is sent only when the channel's queue has room. So the memory of a lane is
 * bounded, whatever the peer requests: these answers, one list of paths, and one snapshot per
 * class.
 */

import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError, whatHappened } from '../../errors.js'
import type { Extent } from '../../history/position.js'
import { relate } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { Channel } from '../../protocol/channel.js'
import { frameTypes, isKnownFrame } from '../frame-types.js'
import type { BulkRequest, ReadStretch, UnknownRequest } from './messages.js'
import {
  answerParts,
  bulkRequestOf,
  fittingPaths,
  frameRoom,
  stretchResultBytesMax,
} from './messages.js'
import { PackedContent } from './packed-content.js'

/** Requests that may wait on one bulk lane; one more ends the lane. */
export const bulkRequestsMax = 64
/** Answers that are prepared while the one before them is sent; further requests wait. */
const preparedMax = 3
/** Bytes of content in one answer; the rest needs further requests. */
export const answerBytesMax: number = 512 * 1024

/** What serving a bulk lane depends on. */
export interface BulkSource {
  readonly copy: LocalCopy
  readonly storage: OpenStorage
  /** Called for each answer, so that a slow transfer can be distinguished from a stalled one. */
  served(bytes: number): void
}

interface Answer {
  readonly body: unknown
  readonly bytes?: readonly Uint8Array[]
  /** Called once the bytes were sent, to return the lent buffer. */
  readonly release?: (() => void) | undefined
}

/** An answer, encoded and ready to send. */
interface Prepared {
  readonly parts: readonly Uint8Array[]
  readonly release?: (() => void) | undefined
}

/** The index as one restore sees it, listed once. */
interface Listing {
  readonly sinceSeq: number
  readonly complete: boolean
  /** Files first, then removals; the state of a path is read when its page is made. */
  readonly paths: readonly string[]
  readonly filesTotal: number
  readonly bytesTotal: number
}

export class BulkServer {
  readonly #channel: Channel
  readonly #source: BulkSource
  readonly #queue: { id: number; request: BulkRequest | UnknownRequest }[] = []
  readonly #snapshots = new Map<string, Uint8Array>()
  #listing: Listing | undefined
  #working = false
  #open = true
  /** Bytes of lists and content in one answer. */
  readonly #room: number
  /** Bytes of content in one answer. */
  readonly #contentMax: number

  constructor(channel: Channel, source: BulkSource) {
    this.#channel = channel
    this.#source = source
    this.#room = frameRoom(channel)
    this.#contentMax = Math.min(answerBytesMax, this.#room)
    channel.onMessage((message) => this.#accept(message))
    channel.onFrame((type) => {
      if (isKnownFrame(type)) channel.destroy()
    })
    channel.onClose(() => {
      this.#open = false
      this.#queue.length = 0
      this.#snapshots.clear()
      this.#listing = undefined
    })
  }

  #accept(message: unknown): void {
    try {
      const asked = bulkRequestOf(message)
      if (this.#queue.length >= bulkRequestsMax) {
        throw new HotspareError(
          'PROTOCOL_VIOLATION',
          `more than ${bulkRequestsMax} bulk requests wait`,
        )
      }
      this.#queue.push(asked)
      // An unexpected failure ends only this lane.
      if (!this.#working) this.#work().catch(() => this.#channel.destroy())
    } catch {
      this.#channel.destroy()
    }
  }

  async #work(): Promise<void> {
    this.#working = true
    const ahead: Promise<Prepared>[] = []
    while (this.#open) {
      while (ahead.length < preparedMax) {
        const asked = this.#queue.shift()
        if (asked === undefined) break
        ahead.push(this.#prepare(asked.id, asked.request))
      }
      const next = ahead.shift()
      if (next === undefined) break
      const { parts, release } = await next
      if (!this.#open) break
      const bytes = parts.reduce((sum, part) => sum + part.length, 0)
      const room = this.#channel.send(frameTypes.answer, parts, release)
      this.#source.served(bytes)
      if (!room) await this.#channel.drained()
    }
    this.#working = false
  }

  async #prepare(id: number, request: BulkRequest | UnknownRequest): Promise<Prepared> {
    try {
      const { body, bytes, release } = await this.#answer(request)
      return { parts: answerParts({ id, body }, bytes), release }
    } catch (error) {
      const code = error instanceof HotspareError ? error.code : 'INTERNAL'
      const message = whatHappened(error)
      return { parts: answerParts({ id, error: { code, message: message.slice(0, 1024) } }) }
    }
  }

  async #answer(request: BulkRequest | UnknownRequest): Promise<Answer> {
    switch (request.op) {
      case 'index':
        return this.#index(request.sinceSeq, request.paths, request.from)
      case 'read':
        return this.#read(request.requests, request.holes === true)
      case 'state':
        return this.#state(request.className)
      case 'stateRead':
        return this.#stateRead(request.className, request.offset, request.length)
      case 'blob':
        return this.#blob(request)
      case 'entries':
        return this.#entries(request.extent, request.offset, request.length)
      case 'unknown': {
        const what = `this version does not know the request ${request.name}`
        throw new HotspareError('PROTOCOL_VIOLATION', what)
      }
    }
  }

  /** A page of the listing (`from` > 0 or `paths` empty), or the present state of `paths`. */
  async #index(sinceSeq: number, paths: readonly string[], from: number): Promise<Answer> {
    // Everything listed must be in the tree, because the entries that the follower gets begin at a
    // cut before this listing.
    if (this.#listing?.sinceSeq !== sinceSeq) {
      await this.#source.copy.settle()
      this.#listing = this.#list(sinceSeq)
    }
    const listing = this.#listing
    const { index } = this.#source.copy
    const wanted = paths.length > 0 ? paths : listing.paths
    const page = fittingPaths(wanted, from, Math.min(answerBytesMax, this.#room))
    const files: [string, number, number, number][] = []
    const removed: [string, number][] = []
    for (const path of page) {
      const file = index.get(path)
      if (file === undefined) removed.push([path, index.tombstone(path) ?? 0])
      else files.push([path, file.version, file.size, file.mode])
    }
    const end = from + page.length
    const next = end < wanted.length ? end : 0
    const { complete, filesTotal, bytesTotal } = listing
    const { tombstoneFloor } = index
    return { body: { files, removed, next, filesTotal, bytesTotal, complete, tombstoneFloor } }
  }

  #list(sinceSeq: number): Listing {
    const { index } = this.#source.copy
    const complete = index.tombstoneFloor > sinceSeq || sinceSeq === 0
    const changed = index.changedSince(complete ? 0 : sinceSeq)
    let bytesTotal = 0
    for (const { size } of changed.files) bytesTotal += size
    const listed = complete ? changed.files : [...changed.files, ...changed.removed]
    const filesTotal = changed.files.length
    return { sinceSeq, complete, paths: listed.map(({ path }) => path), filesTotal, bytesTotal }
  }

  async #read(stretches: readonly ReadStretch[], holes: boolean): Promise<Answer> {
    const bytes = stretches.reduce((sum, stretch) => sum + stretch.length, 0)
    const listBytes = stretches.length * stretchResultBytesMax
    const bytesMax = Math.min(answerBytesMax, this.#room - listBytes)
    if (bytes > bytesMax) {
      throw new HotspareError('PROTOCOL_VIOLATION', `${bytes} bytes asked for, at most ${bytesMax}`)
    }
    const { copy } = this.#source
    // Only files of the index are read; any other path is answered as missing, so files that are
    // not synced are never sent.
    const own = stretches.filter(({ path }) => copy.index.get(path) !== undefined)
    const { buffer, results: read, versions, release } = await copy.files.readForTransfer(own)
    const packed = new PackedContent(buffer)
    let next = 0
    const results = stretches.map((stretch) => {
      if (own[next] !== stretch) return null
      const [result, version] = [read[next], versions[next]]
      next += 1
      if (result === undefined || result === 'missing') return null
      const { length, stat, isSparse } = result
      const leavesOut = holes && isSparse === true
      const { start, runs } = packed.add(result, leavesOut ? stretch.offset : undefined)
      const facts = [start, length, version ?? 0, stat.size, stat.mode]
      return runs === undefined ? facts : [...facts, runs]
    })
    // The bytes may include changes up to this position, so the follower must have these changes
    // before it switches.
    return { body: { results, seq: copy.seq }, bytes: packed.parts(), release }
  }

  async #state(className: string): Promise<Answer> {
    const { bytes, seq } = await this.#source.copy.stateSnapshot(className)
    this.#snapshots.set(className, bytes)
    return { body: { bytes: bytes.length, seq } }
  }

  async #stateRead(className: string, offset: number, length: number): Promise<Answer> {
    const snapshot = this.#snapshots.get(className)
    if (snapshot === undefined)
      throw new HotspareError('PROTOCOL_VIOLATION', 'no snapshot was asked for')
    const bytes = snapshot.subarray(offset, offset + Math.min(length, this.#contentMax))
    if (offset + bytes.length >= snapshot.length) this.#snapshots.delete(className)
    return { body: {}, bytes: [bytes] }
  }

  async #blob(request: Extract<BulkRequest, { op: 'blob' }>): Promise<Answer> {
    const { blob, offset, holes } = request
    const wanted = Math.min(request.length, this.#contentMax)
    const buffer = await this.#source.storage.objects.read('blobs', blob, offset, wanted)
    const { length } = buffer
    const packed = new PackedContent(buffer)
    const { runs } = packed.add({ start: 0, length }, holes === true ? offset : undefined)
    return { body: runs === undefined ? {} : { length, runs }, bytes: packed.parts() }
  }

  async #entries(extent: Extent, offset: number, length: number): Promise<Answer> {
    const { copy } = this.#source
    const relation = relate(extent, copy.extent)
    if (relation.kind !== 'behind' && relation.kind !== 'equal') {
      throw new HotspareError('STALE_TERM', `the asker's copy is ${relation.kind}`)
    }
    // A copy that failed cannot be flushed, but its journal may still be readable.
    if (copy.failed === undefined) await copy.flush()
    const reader = copy.reader(extent.seq)
    try {
      const wanted = length > 0 ? Math.min(length, this.#contentMax) : this.#contentMax
      const entries = await reader.next(wanted)
      const all = Buffer.concat(entries.map((entry) => entry.bytes))
      if (all.length <= wanted) return { body: { total: all.length }, bytes: [all] }
      const first = entries[0]?.bytes ?? all
      const end = Math.min(first.length, offset + wanted)
      return { body: { total: first.length }, bytes: [first.subarray(offset, end)] }
    } finally {
      reader.close()
    }
  }
}
