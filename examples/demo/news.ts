/** The reports of the nodes: acknowledged writes, events, and their lines in the output. */
import type { NodeEvents, NodeLogEvent, RestoredEvent, RestoreEvent } from 'hotspare'
import type { Member } from './member.js'
import type { Ack, Message } from './messages.js'
import { bytesText, lagText, msText, type Timeline } from './timeline.js'

type Progress = NodeEvents['restoreProgress'][0]

export class News {
  readonly acks: Ack[] = []
  /** The completed restores, as the restored nodes reported them. */
  readonly restored: RestoredEvent[] = []
  readonly failedWrites: string[] = []
  readonly #timeline: Timeline
  readonly #watching = new Set<() => void>()

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  take(member: Member, message: Message): void {
    if (message.kind === 'acks') this.acks.push(...message.acks)
    if (message.kind === 'event') this.#event(member, message.event)
    if (message.kind === 'writeFailed') {
      this.failedWrites.push(`${message.writer}: ${message.reason}`)
      this.#timeline.bad(`a write failed: ${message.reason}`, member.id)
    }
    if (message.kind === 'seeded') {
      const { files, filesTotal, bytes } = message
      const text = `copy: ${files} of ${filesTotal} files, ${bytesText(bytes)}`
      this.#timeline.bar(member.id, files / filesTotal, text)
    }
    for (const look of [...this.#watching]) look()
  }

  /** Resolves with the result of `find` once there is one; called again at every report. */
  when<T>(what: string, find: () => T | undefined, limitMs: number = 20_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watching.delete(look)
        reject(new Error(`waited ${limitMs} ms for ${what}`))
      }, limitMs)
      const look = (): void => {
        const found = find()
        if (found === undefined) return
        this.#watching.delete(look)
        clearTimeout(timer)
        resolve(found)
      }
      this.#watching.add(look)
      look()
    })
  }

  #event({ id }: Member, { name, event }: NodeLogEvent): void {
    switch (name) {
      case 'role':
        this.#role(id, event as NodeEvents['role'][0])
        break
      case 'restoreProgress':
        this.#progress(id, event as Progress)
        break
      case 'restored':
        this.#restored(id, event as RestoredEvent)
        break
      case 'peerDown': {
        const { peer, cause } = event as NodeEvents['peerDown'][0]
        this.#timeline.say(`says that ${peer} is ${cause}`, id)
        break
      }
      case 'vaulted': {
        const { incident, lostAcks } = event as NodeEvents['vaulted'][0]
        const what = `${incident.changes.length} changes that nobody else has, into the vault`
        this.#timeline.say(`${what} (known to be acknowledged: ${lostAcks})`, id)
        break
      }
      case 'standbyLost': {
        const { peer, reason } = event as NodeEvents['standbyLost'][0]
        this.#timeline.say(`${peer} is not in sync: ${reason}`, id)
        break
      }
      case 'writersPaced': {
        const { peer, lag, changesPerSecond } = event as NodeEvents['writersPaced'][0]
        const rate = `${changesPerSecond} writes a second`
        this.#timeline.say(`paces its writers for ${peer} (${lagText(lag)} behind): ${rate}`, id)
        break
      }
      case 'writersReleased':
        this.#timeline.say('paces its writers no longer', id)
        break
      case 'possibleLoss':
      case 'splitBrain':
      case 'storageFailed':
      case 'error':
        this.#timeline.bad(`${name}: ${textOf(event)}`, id)
    }
  }

  #role(id: string, { role, from, term }: NodeEvents['role'][0]): void {
    if (role === 'active') this.#timeline.good(`is active, epoch ${term?.epoch}`, id)
    else if (role !== 'discovering' && role !== from) this.#timeline.say(`is ${role}`, id)
  }

  /** Both nodes report the progress of a restore; the bar shows that of the restored one. */
  #progress(id: string, event: Progress): void {
    if (event.target !== id) return
    const { phase, files, filesTotal, bytes, bytesTotal } = event
    const share = bytesTotal === 0 ? 0 : bytes / bytesTotal
    const text = `${phase}: ${files} of ${filesTotal} files, ${bytesText(bytes)}`
    this.#timeline.bar(id, share, text)
  }

  #restored(id: string, event: RestoredEvent): void {
    const { target, source, method, files, bytesMoved, ms } = event
    if (target !== id) return
    this.restored.push(event)
    this.#timeline.endBar(id)
    const how = `restored from ${source} (${method}): ${files} files, ${bytesText(bytesMoved)}`
    this.#timeline.good(`${how}, ${msText(ms)}`, id)
  }
}

function textOf(event: unknown): string {
  if (event instanceof Error) return event.message
  const { error } = (event ?? {}) as { error?: unknown }
  return error instanceof Error ? error.message : JSON.stringify(event as RestoreEvent)
}
