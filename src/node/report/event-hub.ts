/**
 * Passes events to the log, the logger and the listeners. A listener that throws stops neither the
 * node nor other listeners.
 */
import debug from 'debug'
import { EventEmitter } from 'eventemitter3'
import { requireKnown } from '../../util/option-names.js'
import { eventNames } from '../contract/event-names.js'
import type { NodeEvents, NodeLogEvent } from '../contract/events.js'
import type { NodeOptions } from '../contract/options.js'

const log = debug('hotspare:node')

type Listener = (event: never) => void

export class EventHub {
  readonly #options: Pick<NodeOptions, 'id' | 'clock' | 'logger'>
  readonly #emitter = new EventEmitter<NodeEvents>()
  /** The guard function of each listener. */
  readonly #guards = new WeakMap<Listener, Listener>()
  /** The errors of listeners during the present emit. */
  #thrown: unknown[] = []

  constructor(options: Pick<NodeOptions, 'id' | 'clock' | 'logger'>) {
    this.#options = options
  }

  /** @throws `OPTION_INVALID` for an unknown event name */
  on(name: keyof NodeEvents, listener: Listener): void {
    requireKnown('on()', { [name]: listener }, eventNames)
    this.#emitter.on(name, this.#guard(listener) as never)
  }

  /** @throws `OPTION_INVALID` for an unknown event name */
  once(name: keyof NodeEvents, listener: Listener): void {
    requireKnown('once()', { [name]: listener }, eventNames)
    this.#emitter.once(name, this.#guard(listener) as never)
  }

  off(name: keyof NodeEvents, listener: Listener): void {
    const guard = this.#guards.get(listener)
    // With undefined the emitter would remove all listeners.
    if (guard !== undefined) this.#emitter.off(name, guard as never)
  }

  emit<Name extends keyof NodeEvents>(name: Name, ...event: NodeEvents[Name]): void {
    const { id, clock, logger } = this.#options
    const entry = { node: id, name, atWallMs: clock.wallMs(), event: event[0] }
    log('%s %s %o', entry.node, name, entry.event)
    try {
      logger?.(entry as NodeLogEvent)
    } catch (error) {
      log('the logger threw: %o', error)
    }
    for (const error of this.#call(name, event)) {
      log('a listener of %s threw: %o', name, error)
      // A listener for errors that throws would be called for ever.
      if (name !== 'error') this.emit('error', error)
    }
  }

  /** Calls all listeners and returns their errors. */
  #call<Name extends keyof NodeEvents>(name: Name, event: NodeEvents[Name]): unknown[] {
    const before = this.#thrown
    const thrown: unknown[] = []
    this.#thrown = thrown
    try {
      this.#emitter.emit(name, ...(event as never))
    } finally {
      this.#thrown = before
    }
    return thrown
  }

  #guard(listener: Listener): Listener {
    if (typeof listener !== 'function') throw new TypeError('a listener must be a function')
    let guard = this.#guards.get(listener)
    if (guard === undefined) {
      guard = (event) => {
        try {
          listener(event)
        } catch (error) {
          this.#thrown.push(error)
        }
      }
      this.#guards.set(listener, guard)
    }
    return guard
  }
}
