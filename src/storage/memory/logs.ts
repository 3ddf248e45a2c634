/** The logs of an open memory storage. */

import type { Random } from '../../interfaces/random.js'
import type { Log, LogInfo, LogStore } from '../../interfaces/storage.js'
import { storageFailed } from '../failure.js'
import { checkCount, checkLimit, logBytesMax } from '../limits.js'
import { checkLogArea, checkLogName } from '../names.js'
import { pick, toss } from './bytes.js'
import type { Content } from './content.js'
import { joined, LogContent } from './log-content.js'
import type { MemoryOperation, Runner } from './runner.js'

const done: Promise<void> = Promise.resolve()

export class MemoryLogs implements LogStore {
  readonly #content: Content
  readonly #runner: Runner

  constructor(content: Content, runner: Runner) {
    this.#content = content
    this.#runner = runner
  }

  async list(area: string): Promise<LogInfo[]> {
    checkLogArea(area)
    return await this.#run('logs.list', () => {
      const logs = this.#content.logs.get(area) ?? new Map<string, LogContent>()
      return [...logs]
        .map(([name, log]) => ({ name, bytes: log.bytes }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  async open(area: string, name: string): Promise<Log> {
    checkLogArea(area)
    checkLogName(name)
    return await this.#run('logs.open', () => {
      const logs = this.#content.logs.get(area) ?? new Map<string, LogContent>()
      let log = logs.get(name)
      if (log?.open === true) throw storageFailed(`the log ${area}/${name} is open already`)
      if (log === undefined) {
        this.#content.checkChange(true)
        this.#content.checkSync()
        log = new LogContent()
        logs.set(name, log)
        this.#content.logs.set(area, logs)
      }
      log.open = true
      return new MemoryLog(`${area}/${name}`, log, this.#content, this.#runner)
    })
  }

  async remove(area: string, names: readonly string[]): Promise<void> {
    checkLogArea(area)
    for (const name of names) checkLogName(name)
    const drop = (): void => {
      for (const name of names) this.#content.logs.get(area)?.delete(name)
    }
    await this.#run(
      'logs.remove',
      () => {
        this.#mustBeClosed(area, names)
        this.#content.checkChange(false)
        drop()
      },
      drop,
    )
  }

  async replace(from: string, to: string): Promise<void> {
    checkLogArea(from)
    checkLogArea(to)
    const move = (): void => {
      const source = this.#content.logs.get(from)
      if (from === to || source === undefined || source.size === 0) return
      this.#content.logs.set(to, source)
      this.#content.logs.delete(from)
    }
    await this.#run(
      'logs.replace',
      () => {
        this.#mustBeClosed(from)
        this.#mustBeClosed(to)
        this.#content.checkChange(false)
        this.#content.checkSync()
        move()
      },
      move,
    )
  }

  #mustBeClosed(area: string, names?: readonly string[]): void {
    for (const [name, log] of this.#content.logs.get(area) ?? []) {
      if (log.open && (names === undefined || names.includes(name))) {
        throw storageFailed(`the log ${area}/${name} is still open`)
      }
    }
  }

  /** Runs a call that a crash carries out completely or not at all. */
  #run<T>(operation: MemoryOperation, effect: () => T, change?: () => void): Promise<T> {
    const partial = (random: Random): void => {
      if (change !== undefined && toss(random)) change()
    }
    return this.#runner.run({ operation, channel: 'logs', effect, partial })
  }
}

class MemoryLog implements Log {
  readonly #name: string
  readonly #log: LogContent
  readonly #content: Content
  readonly #runner: Runner
  #busy = false
  #ended: string | undefined

  constructor(name: string, log: LogContent, content: Content, runner: Runner) {
    this.#name = name
    this.#log = log
    this.#content = content
    this.#runner = runner
  }

  get bytes(): number {
    return this.#log.bytes
  }

  append(parts: readonly Uint8Array[]): Promise<void> {
    // The fast path of benchmarks and most tests: no latency and no faults.
    if (this.#content.fast && this.#ended === undefined && this.#runner.plain) {
      try {
        this.#runner.check()
        this.#store(parts)
        return done
      } catch (error) {
        this.#ended ??= 'an append failed'
        return Promise.reject(error)
      }
    }
    return this.#change('log.append', {
      effect: () => this.#store(parts),
      partial: (random) => {
        const stretch = joined(parts)
        this.#log.push(stretch.slice(0, pick(random, stretch.byteLength)))
      },
    })
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkCount(offset, 'the offset')
    if (this.#ended === 'it was closed') throw this.#refusal()
    const effect = (): Uint8Array => this.#log.read(offset, length)
    return await this.#runner.run({ operation: 'log.read', channel: this.#name, effect })
  }

  async truncate(bytes: number): Promise<void> {
    checkCount(bytes, 'the length to cut to')
    checkLimit(bytes, this.#log.bytes, 'the length to cut to')
    await this.#change('log.truncate', {
      effect: () => {
        this.#content.checkChange(false)
        this.#content.checkSync()
        this.#log.truncate(bytes)
      },
      partial: (random) => {
        if (toss(random)) this.#log.truncate(bytes)
      },
    })
  }

  async close(): Promise<void> {
    if (this.#ended === 'it was closed') return
    if (this.#busy) throw storageFailed(`the log ${this.#name} is closed while it is written`)
    this.#ended = 'it was closed'
    // After the storage was closed, another opening may have the log open.
    if (!this.#runner.ended) this.#log.open = false
  }

  async #change(
    operation: 'log.append' | 'log.truncate',
    call: { effect: () => void; partial: (random: Random) => void },
  ): Promise<void> {
    if (this.#ended !== undefined) throw this.#refusal()
    if (this.#busy) throw storageFailed(`the log ${this.#name} is busy: one append at a time`)
    this.#busy = true
    try {
      await this.#runner.run({ operation, channel: `log ${this.#name}`, ...call })
    } catch (error) {
      this.#ended ??= `${operation} failed, and it must be opened again`
      throw error
    } finally {
      this.#busy = false
    }
  }

  #store(parts: readonly Uint8Array[]): void {
    const { faults } = this.#content
    if (faults.full || faults.readOnly || faults.failNextSync) this.#storeWithFaults(parts)
    else this.#log.push(joined(parts))
  }

  #storeWithFaults(parts: readonly Uint8Array[]): void {
    const stretch = joined(parts)
    checkLimit(stretch.byteLength, logBytesMax, 'the append, in bytes')
    try {
      this.#content.checkChange(true)
      this.#content.checkSync()
    } catch (error) {
      // A device that fails during the append has stored a part of it.
      if (!this.#content.faults.readOnly) this.#log.push(stretch.slice(0, stretch.byteLength >> 1))
      throw error
    }
    this.#log.push(stretch)
  }

  #refusal(): Error {
    return storageFailed(`the log ${this.#name} is not usable: ${this.#ended}`)
  }
}
