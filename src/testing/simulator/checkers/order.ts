/**
 * Checks what must be durable before something else is sent or done: promises before they are sent,
 * files before the checkpoint that no longer needs their changes, objects before the document that
 * names them, a journal before the tree and before a restore switch. It watches messages and disk
 * calls, because a wrong order has visible effects only when the power fails exactly between two
 * steps.
 */

import { checkpointName, decodeCheckpoint } from '../../../copy/checkpoint/checkpoint-document.js'
import { decodeState, stateDocument } from '../../../copy/contents/app-states.js'
import { decodeManifest, manifestName } from '../../../copy/switch/manifest.js'
import { placeOf } from '../../../copy/switch/staging-areas.js'
import { decodeIncident, folderOf, incidentsPrefix } from '../../../copy/vault/incident.js'
import type { Term } from '../../../history/position.js'
import { sameTerm } from '../../../history/position.js'
import type { Process } from '../machine/machine.js'
import { simulatedStates } from '../machine/register.js'
import type { SentMessage } from '../machine/taps.js'
import { dirtyKey } from '../machine/taps.js'
import type { World } from '../world.js'
import type { Checker, Report, TapListener } from './checker.js'

/** The fields of a message that are checked; it may have others. */
interface MessageFields {
  readonly type?: string
  readonly term?: Term
  readonly offered?: Term
  readonly refused?: unknown
  readonly body?: MessageFields
  readonly id?: string
  readonly restoreId?: string
  readonly method?: string
  readonly seq?: number
  readonly view?: {
    readonly role: string
    readonly round?: unknown
    readonly copy: { readonly seq: number }
  }
}

class Order implements Checker {
  readonly name = 'order'
  readonly #world: World
  readonly #report: Report
  /** By machine: the term that is durably promised. */
  readonly #promised = new Map<string, Term | undefined>()
  /**
   * By process: what was written and is not synced; for a file, the version that the index had
   * before the first of these writes. The index changes only when the whole batch is applied.
   */
  readonly #dirty = new Map<Process, Map<string, number>>()
  /**
   * By process that is being restored: the change up to which the bytes that it received in this
   * restore may reach.
   */
  readonly #given = new Map<Process, number>()
  /** By process that gave a promise: the last change of its copy at that time. */
  readonly #frozen = new Map<Process, number>()
  readonly taps: TapListener

  constructor(world: World, report: Report) {
    this.#world = world
    this.#report = report
    this.taps = {
      sent: (process, sent) => this.#sent(process, sent),
      factsDurable: ({ id }, { promised }) => void this.#promised.set(id, promised ?? undefined),
      journaling: (process) => this.#journaling(process),
      document: (process, name, value) => this.#document(process, name, value),
      applying: (process) => this.#applying(process),
      dirty: (process, keys) => {
        const dirty = this.#dirtyOf(process)
        for (const key of keys) {
          if (!dirty.has(key)) dirty.set(key, versionOf(process, key))
        }
      },
      synced: (process, kind, keys) => this.#synced(process, kind, keys),
    }
  }

  ending(process: Process): void {
    this.#dirty.delete(process)
    this.#given.delete(process)
    this.#frozen.delete(process)
  }

  #dirtyOf(process: Process): Map<string, number> {
    const known = this.#dirty.get(process)
    if (known !== undefined) return known
    const made = new Map<string, number>()
    this.#dirty.set(process, made)
    return made
  }

  #synced(process: Process, kind: string, keys: readonly string[] | undefined): void {
    const dirty = this.#dirtyOf(process)
    const prefixes = keys?.filter((key) => key.endsWith('/')) ?? [dirtyKey(kind, '')]
    for (const key of keys ?? []) dirty.delete(key)
    for (const prefix of prefixes) {
      for (const key of dirty.keys()) if (key.startsWith(prefix)) dirty.delete(key)
    }
  }

  #sent(process: Process, { to, message, isAnswer }: SentMessage): void {
    const told = message as MessageFields | undefined
    if (told === undefined || told === null) return
    if (isAnswer) return this.#answered(to, told)
    if (told.type === 'core') return this.#coreSent(process, told.body ?? {})
    if (told.type === 'follow' && told.term !== undefined) {
      this.#requirePromise(process, told.term, 'follows')
    }
    if (told.type === 'plan') this.#planned(to)
    if (told.type === 'blobHere' && this.#dirtyOf(process).has(dirtyKey('blobs', told.id ?? ''))) {
      this.#report(`${process.id} says that it has blob ${told.id}, which is not durable`)
    }
  }

  #coreSent(process: Process, { type, term, offered, refused, view, seq }: MessageFields): void {
    if (view !== undefined) this.#requireFrozen(process, view)
    if (type === 'promise' && (refused === undefined || refused === null) && term !== undefined) {
      this.#requirePromise(process, term, 'promises')
      // A copy whose disk failed says what of it is durable, and makes up for the rest when that is
      // mended. One whose restore is being put in its place goes on to what that brought, which
      // nobody counted on.
      const isSound =
        process.copy?.failed === undefined && process.copy?.restoreSwitch.isPending === false
      if (view !== undefined && isSound) this.#frozen.set(process, view.copy.seq)
    }
    if (type === 'promiseRequest' && term !== undefined) {
      this.#requirePromise(process, term, 'asks for promises to')
    }
    if (type === 'handover' && offered !== undefined) {
      this.#requirePromise(process, offered, 'hands over to')
      const own = process.copy?.seq
      if (own !== seq) this.#report(`${process.id} hands over at ${seq}, and its copy is at ${own}`)
    }
  }

  #journaling(process: Process): void {
    if (process.node.role !== 'discovering') this.#frozen.delete(process)
    const seq = this.#frozen.get(process)
    if (seq === undefined) return
    this.#frozen.delete(process)
    // A round that the node began itself, without a reachable peer that knows of it.
    const last = process.node
      .explain()
      .findLast(({ rule }) => rule === 'promise' || rule === 'round')
    if (last?.rule !== 'promise') return
    this.#report(`${process.id} promised at ${seq}, and its journal goes on`)
  }

  /** After its promise a copy must not change until its node takes another role or round. */
  #requireFrozen(
    process: Process,
    { role, round, copy }: NonNullable<MessageFields['view']>,
  ): void {
    const seq = this.#frozen.get(process)
    if (seq === undefined) return
    if (role !== 'discovering' || (round !== undefined && round !== null)) {
      this.#frozen.delete(process)
    } else if (copy.seq > seq) {
      this.#frozen.delete(process)
      this.#report(`${process.id} promised at ${seq}, and its copy goes on to ${copy.seq}`)
    }
  }

  #requirePromise({ id }: Process, term: Term, what: string): void {
    const promised = this.#promised.get(id)
    if (promised !== undefined && promised.epoch > term.epoch) return
    if (promised !== undefined && sameTerm(promised, term)) return
    const found = promised === undefined ? 'no promise' : `a promise of epoch ${promised.epoch}`
    this.#report(
      `${id} ${what} epoch ${term.epoch} of ${term.nodeId} while its disk holds ${found}`,
    )
  }

  /** Each plan begins a new restore. */
  #planned(to: string): void {
    const target = this.#processAt(to)
    if (target !== undefined) this.#given.set(target, 0)
  }

  /** The bytes of an answer may include changes up to this position. */
  #answered(to: string, { seq }: MessageFields): void {
    // Answers with files and states name a position; index pages do not.
    if (typeof seq !== 'number') return
    const target = this.#processAt(to)
    if (target === undefined) return
    this.#given.set(target, Math.max(seq, this.#given.get(target) ?? 0))
  }

  #processAt(address: string): Process | undefined {
    return this.#world.processes.find(({ id }) => this.#world.machine(id).address === address)
  }

  #document(process: Process, name: string, value: Uint8Array): void {
    if (name === checkpointName) this.#checkpoint(process, value)
    else if (name === manifestName) this.#manifest(process, value)
    else if (name.startsWith(incidentsPrefix)) this.#incident(process, value)
    else if (simulatedStates.some((each) => stateDocument(each) === name)) {
      const { seq } = decodeState(value)
      const durable = process.copy?.durableSeq ?? seq
      if (seq > durable && !this.#isSwitching(process)) {
        this.#report(
          `${process.id} stores ${name} at ${seq}, its journal is durable up to ${durable}`,
        )
      }
    }
  }

  #isSwitching({ copy }: Process): boolean {
    return copy?.complete !== true
  }

  #checkpoint(process: Process, value: Uint8Array): void {
    const { copy, id } = process
    if (copy === undefined || this.#isSwitching(process)) return
    const { seq } = decodeCheckpoint(value).place.facts
    for (const [key, before] of this.#dirtyOf(process)) {
      if (!key.startsWith(treePrefix)) continue
      const version = versionOf(process, key)
      if (version === 0 || version === before || version > seq) continue
      const path = key.slice(treePrefix.length)
      this.#report(
        `a checkpoint of ${id} at ${seq} does without change ${version} of ${path}, which is not synced`,
      )
      return
    }
  }

  #manifest(process: Process, value: Uint8Array): void {
    const { copy, id } = process
    // Staged objects that the manifest does not name are discarded, so they need not be durable.
    const { install, states } = decodeManifest(value)
    const named = new Set([
      ...install.map(placeOf).map(({ area, name }) => dirtyKey(area, name)),
      ...states.map(({ object }) => dirtyKey('staging', object)),
    ])
    const dirty = [...this.#dirtyOf(process).keys()].find((key) => named.has(key))
    if (dirty !== undefined) this.#report(`${id} switches over with ${dirty}, which is not synced`)
    const given = this.#given.get(process) ?? 0
    if (given === 0) return
    const has = copy?.restoreSwitch.nextSeq ?? given
    if (has < given) {
      this.#report(
        `${id} switches over with a journal up to ${has}, what it read may reach ${given}`,
      )
    }
  }

  #incident(process: Process, value: Uint8Array): void {
    const incident = decodeIncident(value)
    const prefix = dirtyKey('vault', folderOf(incident.id))
    const dirty = [...this.#dirtyOf(process).keys()].find((key) => key.startsWith(prefix))
    if (dirty !== undefined)
      this.#report(`${process.id} seals ${incident.id} before ${dirty} is durable`)
  }

  /** A change may be applied to the tree only when its entry is durable. */
  #applying({ id, copy }: Process): void {
    if (copy === undefined) return
    const { applier } = copy.files
    if (applier.isReplaying || !copy.complete) return
    if (applier.startedSeq <= copy.durableSeq) return
    this.#report(
      `${id} carries out ${applier.startedSeq}, its journal is durable up to ${copy.durableSeq}`,
    )
  }
}

const treePrefix = dirtyKey('tree', '')

/** The version that the index has of the file; 0 for none. */
function versionOf({ copy }: Process, key: string): number {
  return copy?.index.get(key.slice(treePrefix.length))?.version ?? 0
}

export const order = (world: World, report: Report): Checker => new Order(world, report)
