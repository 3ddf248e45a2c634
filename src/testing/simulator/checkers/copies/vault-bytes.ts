/**
 * Promise 5: the vault has the lost data byte by byte: the files as they were on the disk, or, when
 * the node adopted a change of another program, as they were in the history; the journal by its
 * checksum; the blobs as they were written. And a change that an incident calls acknowledged was
 * acknowledged.
 */
import { crc32 } from 'node:zlib'
import type { VaultIncident } from '../../../../copy/vault/incident.js'
import { folderOf } from '../../../../copy/vault/incident.js'
import { sameTerm } from '../../../../history/position.js'
import type { NodeLogEvent } from '../../../../node/contract/events.js'
import type { Process } from '../../machine/machine.js'
import { termAt } from '../../observed/extents.js'
import { Versions } from '../../observed/versions.js'
import type { WriteRecord } from '../../record/writes.js'
import { contentPut, labelOf, pathsOf } from '../../record/writes.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

/**
 * The time after which the journaled mark of a running active must include an acknowledged write,
 * in milliseconds.
 */
const markMs = 3_000

class VaultBytes implements Checker {
  readonly name = 'vault-bytes'
  readonly #world: World
  readonly #report: Report
  /** By node and incident: the contents of the files when it was sealed. */
  readonly #kept = new Map<string, ReadonlyMap<string, Uint8Array>>()
  /** By process and epoch: when it was last seen as the active. */
  readonly #activeMs = new Map<Process, Map<number, number>>()
  readonly #checked = new Set<string>()
  readonly #versions: Versions

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
    this.#versions = new Versions(world)
  }

  observe(process: Process): void {
    if (process.node.role !== 'active') return
    const { term } = process.node.status()
    if (term === undefined) return
    const seen = this.#activeMs.get(process) ?? new Map<number, number>()
    this.#activeMs.set(process, seen.set(term.epoch, this.#world.nowMs))
  }

  ending(process: Process): void {
    this.#versions.note(process)
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'vaulted') return
    const { incident } = event as { incident: VaultIncident }
    const files = new Map<string, Uint8Array>()
    for (const { path } of incident.files) {
      const bytes = this.#before(process, incident, path)
      if (bytes !== undefined) files.set(path, bytes)
    }
    this.#kept.set(`${process.id} ${incident.id}`, files)
  }

  /**
   * The content that is about to be replaced: of an adopted file the version of the history, of any
   * other file the one on the disk.
   */
  #before({ id, copy }: Process, incident: VaultIncident, path: string): Uint8Array | undefined {
    if (incident.reason !== 'adopted') return this.#world.machine(id).storage.outside.read(path)
    // The incident is sealed before the replacing change is journaled, so the index still has the
    // old version.
    const version = copy?.index.get(path)?.version
    return version === undefined ? undefined : this.#versions.of(incident.extent, path, version)
  }

  async quiet(): Promise<void> {
    for (const process of this.#world.processes) {
      this.#versions.note(process)
      for (const incident of await process.node.vault.list()) await this.#check(process, incident)
    }
  }

  async #check(process: Process, incident: VaultIncident): Promise<void> {
    if (incident.reason === 'unreadable') return
    const key = `${process.id} ${incident.id}`
    const what = `${incident.id} of ${process.id}`
    const files = this.#kept.get(key)
    for (const { path, object } of incident.files) {
      const before = files?.get(path)
      if (before === undefined) continue
      const found = await this.#read(process, object)
      if (Buffer.compare(found, before) === 0) continue
      this.#report(`${path} in ${what} has ${found.length} bytes, it had ${before.length} others`)
    }
    const { journal } = incident
    if (journal !== undefined) {
      const found = await this.#read(process, journal.object)
      if (found.length !== journal.bytes || crc32(found) !== journal.crc)
        this.#report(`the journal in ${what} is not what was kept`)
    }
    for (const blob of incident.blobs) await this.#checkBlob(process, incident, blob)
    if (this.#checked.has(key)) return
    this.#checked.add(key)
    if (incident.reason === 'divergence') this.#checkMarks(process.id, incident)
  }

  async #checkBlob(process: Process, { id }: VaultIncident, blob: string): Promise<void> {
    const what = `blob ${blob} in ${id} of ${process.id}`
    const found = await this.#read(process, `${folderOf(id)}/blobs/${blob}`)
    const write = this.#world.writes[(labelOf(found) ?? 0) - 1]
    const paths = write === undefined ? [] : pathsOf(write.action)
    const isWhole = paths.some((path) => {
      const content = write === undefined ? undefined : contentPut(write.action, path)
      return content !== undefined && Buffer.compare(content, found) === 0
    })
    // A blob of an append or a patch does not begin with the label of its write.
    if (!isWhole && (write !== undefined || found.length === 0))
      this.#report(`${what} has ${found.length} bytes that nobody wrote`)
  }

  async #read({ node }: Process, object: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let offset = 0
    for (;;) {
      const part = await node.vault.read(object, { offset }).catch(() => new Uint8Array(0))
      if (part.length === 0) return Buffer.concat(parts)
      parts.push(part)
      offset += part.length
    }
  }

  /** Compares the acknowledgements of the losing side with the marks of the incident. */
  #checkMarks(id: string, incident: VaultIncident): void {
    const marks = new Map(
      incident.changes.map(({ epoch, seq, acknowledged }) => [`${epoch}/${seq}`, acknowledged]),
    )
    const answered = new Set<string>()
    for (const write of this.#world.writes) {
      const { outcome, process } = write
      if (outcome.kind !== 'acknowledged') continue
      const { term, seq } = outcome.receipt.position
      const key = `${term.epoch}/${seq}`
      const inIncident = termAt(incident.extent, seq)
      // After a backup was restored, a node may open the same epoch again.
      if (inIncident === undefined || !sameTerm(inIncident, term)) continue
      answered.add(key)
      // A node knows which of its own changes were acknowledged, once its journal has the mark:
      // after a while, or with a later change.
      const isOwn = term.nodeId === id && process.id === id
      if (!isOwn || marks.get(key) !== 'unknown' || this.#world.machine(id).damaged) continue
      const seenMs = this.#activeMs.get(process)?.get(term.epoch) ?? 0
      const hadTime = this.#answeredMs(write) + markMs <= seenMs && this.#world.disturbances === 0
      if (!hadTime && !this.#isMarkedLater(write, term.epoch, marks)) continue
      this.#report(`${incident.id} of ${id} does not know that ${key} was acknowledged`)
    }
    if (this.#mayBeOthers(id)) return
    for (const { epoch, seq, acknowledged, paths, kind } of incident.changes) {
      // An update that threw was settled with its error and has no receipt.
      if (kind === 'update') continue
      const isEmpty = kind === 'transaction' && paths.length === 0
      if (acknowledged !== true || isEmpty || answered.has(`${epoch}/${seq}`)) continue
      if (termAt(incident.extent, seq)?.nodeId !== id) continue
      this.#report(
        `${incident.id} of ${id} calls ${epoch}/${seq} acknowledged, which nobody was told`,
      )
    }
  }

  /**
   * Whether the lost changes include one of the same term that was made after this write and all
   * before it were settled, so that its entry has the mark. A later term does not know more than
   * the journal.
   */
  #isMarkedLater(write: WriteRecord, epoch: number, lost: ReadonlyMap<string, unknown>): boolean {
    const answeredMs = this.#answeredMs(write)
    const own = this.#world.writes.filter(({ process }) => process === write.process)
    return own.some(({ outcome, submittedMs }) => {
      if (outcome.kind !== 'acknowledged' || submittedMs <= answeredMs) return false
      const { term, seq } = outcome.receipt.position
      return term.epoch === epoch && lost.has(`${term.epoch}/${seq}`)
    })
  }

  /**
   * When this write and all writes that were made before it was settled are settled, because the
   * mark does not pass a write that still waits.
   */
  #answeredMs({ process, submittedMs: madeMs, settledMs = 0 }: WriteRecord): number {
    const before = this.#world.writes.filter((write) => {
      if (write.submittedMs > settledMs) return false
      // A write that was unsettled on another node may have been forwarded to this one.
      return write.process === process || (write.settledMs ?? Number.POSITIVE_INFINITY) > madeMs
    })
    return Math.max(...before.map((write) => write.settledMs ?? Number.POSITIVE_INFINITY))
  }

  /**
   * Whether there may be changes that the workload does not know: writes that were forwarded, and
   * changes adopted from the disk.
   */
  #mayBeOthers(id: string): boolean {
    const { writes, timeline } = this.#world
    if ((timeline.counts.get('outsideChange') ?? 0) > 0) return true
    return writes.some(({ outcome: { kind }, process }) => {
      const isUnanswered = kind === 'unknown' || (kind === 'open' && !process.alive)
      return isUnanswered && process.id !== id
    })
  }
}

export const vaultBytes = (world: World, report: Report): Checker => new VaultBytes(world, report)
