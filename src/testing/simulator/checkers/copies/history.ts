/**
 * The surviving copy matches its history: files are as its writes left them, application state has
 * each change exactly once, and nothing is there of writes that were refused or belong to another
 * history.
 */

import type { NodeEvents } from '../../../../node/contract/events.js'
import type { Process } from '../../machine/machine.js'
import type { RegisterChange } from '../../machine/register.js'
import { after, contentOf, keptOutside, replaces } from '../../observed/content.js'
import { contains, survivor } from '../../observed/extents.js'
import type { WriteRecord } from '../../record/writes.js'
import { pathsOf } from '../../record/writes.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

class HistoryHolds implements Checker {
  readonly name = 'history'
  readonly #world: World
  readonly #report: Report
  readonly #applied = new Map<Process, string>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  applied(process: Process, { id }: RegisterChange, at: { epoch: number; seq: number }): void {
    // After a snapshot was loaded, the same process applies changes again.
    const key = `${at.epoch}/${at.seq} after ${process.register.restores} snapshots`
    if (this.#applied.get(process) === key) {
      this.#report(`${process.id} applied ${key} twice, the last time as write ${id}`)
    }
    this.#applied.set(process, key)
  }

  quiet(): void {
    const final = survivor(this.#world)
    const bySeq = new Map<number, WriteRecord>()
    for (const write of this.#world.writes) {
      const { outcome } = write
      if (outcome.kind !== 'acknowledged' || !contains(final, outcome.receipt.position)) continue
      bySeq.set(outcome.receipt.position.seq, write)
    }
    this.#checkFiles(final.id, bySeq)
    this.#checkRegister(final.id, new Set([...bySeq.values()].map(({ id }) => id)))
  }

  #checkFiles(id: string, bySeq: ReadonlyMap<number, WriteRecord>): void {
    const copy = this.#world.process(id).copy
    const content = contentOf(this.#world.machine(id))
    const paths = new Set([
      ...content.keys(),
      ...[...bySeq.values()].flatMap(({ action }) => pathsOf(action)),
    ])
    const kept = keptOutside(this.#world, this.#world.machine(id))
    for (const path of paths) {
      if (kept.has(path)) continue
      const version = copy?.index.get(path)?.version ?? copy?.index.tombstone(path)
      const expected = version === undefined ? undefined : expectedAt(path, version, bySeq)
      if (expected === undefined) continue
      const found = content.get(path)
      if (same(found, expected.bytes)) continue
      const lengths = `${found?.length ?? 'no'} bytes, expected ${expected.bytes?.length ?? 'none'}`
      this.#report(`${path} on ${id} is not what change ${version} left: ${lengths}`)
    }
    this.#checkVersions(id, bySeq)
  }

  /** No file is older than the last acknowledged write to it. */
  #checkVersions(id: string, bySeq: ReadonlyMap<number, WriteRecord>): void {
    const index = this.#world.process(id).copy?.index
    const last = new Map<string, { seq: number; write: WriteRecord }>()
    for (const [seq, write] of bySeq) {
      for (const path of pathsOf(write.action)) {
        if ((last.get(path)?.seq ?? 0) < seq) last.set(path, { seq, write })
      }
    }
    for (const [path, { seq, write }] of last) {
      const version = index?.get(path)?.version ?? index?.tombstone(path)
      if (version !== undefined && version >= seq) continue
      // A full restore drops the record of earlier removals.
      if (index?.get(path) === undefined && this.#mayBeGone(path, write)) continue
      const found = `has version ${version ?? 'none'}`
      this.#report(`${path} on ${id} ${found}, write ${write.id} at ${seq} is missing`)
    }
  }

  #mayBeGone(path: string, { action }: WriteRecord): boolean {
    if (action.kind === 'remove' || this.#isAdopted(path)) return true
    return this.#world.writes.some((write) => {
      const { kind } = write.outcome
      const unknown = kind === 'open' || kind === 'unknown'
      return unknown && write.action.kind === 'remove' && write.action.path === path
    })
  }

  /** Whether a node adopted an outside change of this path, which may be its removal. */
  #isAdopted(path: string): boolean {
    return this.#world.events.some(({ name, event }) => {
      if (name !== 'outsideChange') return false
      const { outcome, paths } = event as NodeEvents['outsideChange'][0]
      return outcome === 'adopted' && paths.includes(path)
    })
  }

  #checkRegister(id: string, present: ReadonlySet<number>): void {
    const ids = this.#world.process(id).register.ids()
    const found = new Set(ids)
    if (found.size !== ids.length)
      this.#report(`a change is twice in the register of ${id}: ${ids.join()}`)
    for (const write of this.#world.writes) {
      const { action, outcome } = write
      const changes = action.kind === 'transaction' || (action.kind === 'update' && !action.fails)
      if (!changes) continue
      const isThere = found.has(write.id)
      if (present.has(write.id) && !isThere)
        this.#report(`write ${write.id} is missing in the register of ${id}`)
      if (!isThere || present.has(write.id)) continue
      if (outcome.kind === 'refused')
        this.#report(`write ${write.id}, refused as ${outcome.code}, is in the register`)
      if (outcome.kind === 'acknowledged')
        this.#report(`write ${write.id} of another history is in the register`)
    }
  }
}

/**
 * The content that the known writes leave at a path; undefined when a write of unknown outcome may
 * be among them.
 */
function expectedAt(
  path: string,
  version: number,
  bySeq: ReadonlyMap<number, WriteRecord>,
): { bytes: Uint8Array | undefined } | undefined {
  const actions = []
  for (let seq = version; seq > 0; seq -= 1) {
    const write = bySeq.get(seq)
    if (write === undefined) return undefined
    if (!pathsOf(write.action).includes(path)) continue
    actions.push(write.action)
    if (replaces(write.action)) break
  }
  let bytes: Uint8Array | undefined
  for (const action of actions.reverse()) bytes = after(action, path, bytes)
  return { bytes }
}

function same(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return Buffer.compare(left, right) === 0
}

export const historyHolds = (world: World, report: Report): Checker =>
  new HistoryHolds(world, report)
