/**
 * Promise 5: nothing is discarded silently. Whatever the history of a node had durably and has no
 * more is listed in an incident of its vault; so a crash may not lose durable journal entries
 * either.
 */

import type { VaultIncident } from '../../../../copy/vault/incident.js'
import type { Extent } from '../../../../history/position.js'
import { relate } from '../../../../history/position.js'
import type { NodeLogEvent } from '../../../../node/contract/events.js'
import type { Machine, Process } from '../../machine/machine.js'
import { termAt, written } from '../../observed/extents.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

class Vaulted implements Checker {
  readonly name = 'vaulted'
  readonly #world: World
  readonly #report: Report
  readonly #last = new Map<string, { extent: Extent; boot: number }>()
  readonly #incidents = new Map<string, { incident: VaultIncident; atMs: number }[]>()

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
  }

  event(process: Process, { name, event }: NodeLogEvent): void {
    if (name !== 'vaulted') return
    const { incident } = event as { incident: VaultIncident }
    const incidents = this.#incidents.get(process.id) ?? []
    incidents.push({ incident, atMs: this.#world.nowMs })
    this.#incidents.set(process.id, incidents)
    if (incident.reason === 'divergence') this.#checkFiles(process, incident)
  }

  /**
   * A divergence incident must have every file that the losing history changed, and the application
   * state.
   */
  #checkFiles({ id, copy }: Process, incident: VaultIncident): void {
    const kept = new Set(incident.files.map(({ path }) => path))
    // What somebody else removed cannot be kept.
    for (const path of copy?.outside.report.missing ?? []) kept.add(path)
    for (const { path } of copy?.index.changedSince(incident.commonSeq).files ?? []) {
      if (!kept.has(path)) this.#report(`${path} of ${id} is not in ${incident.id}`)
    }
    if (incident.states.length === 0) this.#report(`${incident.id} of ${id} holds no state`)
  }

  observe(process: Process): void {
    const extent = process.durable
    if (extent === undefined) return
    const last = this.#last.get(process.id)
    if (last !== undefined) this.#compare(process, last, extent)
    const grew = last?.extent.history === extent.history && last.extent.seq === extent.seq
    if (!grew || last.boot !== process.boot)
      this.#last.set(process.id, { extent, boot: process.boot })
  }

  /** The contents of the old disk, including its vault, are lost, except those of the backup. */
  replaced({ id, backedUpMs }: Machine): void {
    this.#last.delete(id)
    const before = this.#incidents.get(id) ?? []
    const backedUp = before.filter(({ atMs }) => atMs < backedUpMs)
    this.#incidents.set(id, backedUp)
  }

  ending(process: Process): void {
    this.observe(process)
  }

  #compare(process: Process, last: { extent: Extent; boot: number }, now: Extent): void {
    const before = last.extent
    if (before.history === now.history && before.seq <= now.seq) return
    const { kind, commonSeq } = relate(before, now)
    if (kind === 'equal' || kind === 'behind') return
    const { id } = process
    if (this.#world.machine(id).damaged) return
    const what = `${id} lost ${commonSeq + 1} to ${before.seq}`
    const listed = this.#listed(id)
    for (let seq = commonSeq + 1; seq <= before.seq; seq += 1) {
      const term = termAt(before, seq)
      if (term === undefined || listed.has(`${term.epoch}/${seq}`)) continue
      // A start completes a restore switch that a crash interrupted; the data that it removes was
      // vaulted before the crash.
      const how = last.boot === process.boot ? '' : ' when it was started again'
      this.#report(`${what}${how}, and ${written(term)}/${seq} is in no incident of its vault`)
      return
    }
  }

  #listed(id: string): Set<string> {
    const incidents = this.#incidents.get(id) ?? []
    return new Set(incidents.flatMap(({ incident }) => [...positionsOf(incident)]))
  }

  async quiet(): Promise<void> {
    for (const { id, node } of this.#world.processes) {
      const kept = new Set((await node.vault.list()).map((incident) => incident.id))
      for (const { incident } of this.#incidents.get(id) ?? []) {
        if (!kept.has(incident.id))
          this.#report(`${id} reported ${incident.id}, which is not in its vault`)
      }
    }
    this.#acknowledgedOnes()
  }

  /**
   * Every change that a node acknowledged, at any level, is in the surviving history or in its
   * vault.
   */
  #acknowledgedOnes(): void {
    const [active = ''] = this.#world.actives()
    const final = this.#world.process(active).durable
    if (final === undefined) return
    for (const { outcome, id, settledMs = 0 } of this.#world.writes) {
      if (outcome.kind !== 'acknowledged' || !outcome.receipt.durable) continue
      const { term, seq } = outcome.receipt.position
      const kept = termAt(final, seq)
      if (kept?.epoch === term.epoch && kept.nodeId === term.nodeId) continue
      const { damaged, replacedMs } = this.#world.machine(term.nodeId)
      if (damaged || replacedMs >= settledMs) continue
      if (this.#listed(term.nodeId).has(`${term.epoch}/${seq}`)) continue
      this.#report(
        `write ${id} at ${written(term)}/${seq} is neither on ${active} nor in the vault of ${term.nodeId}`,
      )
    }
  }
}

/**
 * The changes that an incident covers: the listed ones, and the unlisted ones before them, whose
 * files and states it has.
 */
function* positionsOf({ commonSeq, extent, changes, reason }: VaultIncident): Generator<string> {
  if (reason !== 'divergence') return
  for (const { epoch, seq } of changes) yield `${epoch}/${seq}`
  const first = changes[0]?.seq ?? extent.seq + 1
  for (let seq = commonSeq + 1; seq < first; seq += 1) yield `${termAt(extent, seq)?.epoch}/${seq}`
}

export const vaulted = (world: World, report: Report): Checker => new Vaulted(world, report)
