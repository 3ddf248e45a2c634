/** What the tests of the transport kit share. */

import type { Connection, Listener, Transport, TransportLimits } from '../interfaces/transport.js'

/** Two transports that reach each other. */
export interface KitPair {
  /** Listens. */
  readonly a: Transport
  /** Dials. */
  readonly b: Transport
  /**
   * A transport that listens on this very address. Needed when `a` listens on any free port.
   * Default: `a` is used again.
   */
  readonly listenAgain?: (address: string) => Transport
  /** Ends what `create` began. The kit ends what it opened itself. */
  readonly cleanup: () => Promise<void>
}

/** A pair, and a function that ends all connections and listeners that were opened through it. */
export function tidied(pair: KitPair): { readonly pair: KitPair; end(): Promise<void> } {
  const connections: Connection[] = []
  const listeners: Listener[] = []
  const tidy = (transport: Transport): Transport => ({
    name: transport.name,
    listen: async (accept, limits) => {
      const listener = await transport.listen((connection) => {
        connections.push(connection)
        accept(connection)
      }, limits)
      listeners.push(listener)
      return listener
    },
    dial: async (...args) => {
      const connection = await transport.dial(...args)
      connections.push(connection)
      return connection
    },
  })
  const { listenAgain } = pair
  const a = tidy(pair.a)
  return {
    pair: {
      ...pair,
      a,
      b: pair.b === pair.a ? a : tidy(pair.b),
      ...(listenAgain === undefined ? {} : { listenAgain: (to) => tidy(listenAgain(to)) }),
    },
    end: async () => {
      for (const connection of connections) connection.destroy()
      await Promise.all(listeners.map((listener) => listener.close()))
    },
  }
}

/** The limits of all tests that are not about limits. */
export const kitLimits: TransportLimits = {
  frameBytesMax: 1024 * 1024,
  sendBytesHigh: 256 * 1024,
  connectionsMax: 100,
}

const untilMs = 10_000

/** Resolves as soon as the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  const startMs = performance.now()
  while (!condition()) {
    if (performance.now() - startMs > untilMs) {
      throw new Error(`Not within ${untilMs} ms: ${condition.toString()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Both ends of a connection, and the listener that accepted it. */
export interface LinkedPair {
  readonly near: Connection
  readonly far: Connection
  readonly listener: Listener
}

/** Opens one connection from `b` to `a`. */
export async function linked(pair: KitPair): Promise<LinkedPair> {
  let far: Connection | undefined
  const listener = await pair.a.listen((connection) => {
    far = connection
  }, kitLimits)
  const near = await pair.b.dial(listener.address, kitLimits)
  await until(() => far !== undefined)
  return { near, far: far!, listener }
}

/** Collects the frames of a connection. */
export function received(connection: Connection, onEach: () => void = () => {}): Uint8Array[] {
  const frames: Uint8Array[] = []
  connection.onFrame((frame) => {
    frames.push(frame)
    onEach()
  })
  return frames
}
