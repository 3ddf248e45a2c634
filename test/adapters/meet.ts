import type { HotspareError } from '../../src/errors.js'
import type { Connection } from '../../src/interfaces/transport.js'
import {
  type AcceptChannelOptions,
  acceptChannel,
  type Channel,
  type DialChannelOptions,
  dialChannel,
} from '../../src/protocol/channel.js'
import { HandshakeGuard } from '../../src/protocol/handshake-guard.js'
import type { OwnIdentity } from '../../src/protocol/identity.js'
import { type HandshakeKey, handshakeKey } from '../../src/protocol/keys.js'
import { kitLimits, until } from '../../src/testing/transport-kit-support.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { identityOf, realClock, realRandom } from './support.js'

const keyOf = new Map<string, HandshakeKey>()

/** The key of a secret, derived once. */
export function key(secret: string | undefined, cluster = 'test'): HandshakeKey {
  const name = `${secret} ${cluster}`
  const made = keyOf.get(name) ?? handshakeKey(secret, cluster)
  keyOf.set(name, made)
  return made
}

/** Options of one end that differ from the defaults. */
export interface Side extends Partial<Omit<DialChannelOptions, 'identity'>> {
  readonly identity?: Partial<OwnIdentity>
}

/** The outcome at both ends. */
export interface Result {
  dialer?: Channel
  listener?: Channel
  dialerError?: HotspareError
  listenerError?: HotspareError
}

/** Changes a frame in transit; an empty list drops it. */
export type Tamper = (frame: Uint8Array, from: 'dialer' | 'listener', index: number) => Uint8Array[]

function tampered(connection: Connection, from: 'dialer' | 'listener', tamper: Tamper): Connection {
  let index = 0
  return new Proxy(connection, {
    get: (target, name) => {
      if (name === 'send') {
        return (parts: readonly Uint8Array[]) => {
          let room = true
          for (const frame of tamper(Buffer.concat(parts), from, index++)) {
            room = target.send([frame])
          }
          return room
        }
      }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export const honest: Tamper = (frame) => [frame]

/** Lets beta dial alpha over a network where frames may be tampered with. */
export async function meet(
  dialer: Side,
  listener: Side,
  tamper = honest,
  secure = false,
): Promise<Result> {
  const network = memoryNetwork({ secure })
  const result: Result = {}
  const common = { key: key('secret'), clock: realClock, random: realRandom, limits: kitLimits }
  const { identity: theirs = {}, ...listenerRest } = listener
  const accept: AcceptChannelOptions = {
    ...common,
    guard: new HandshakeGuard(),
    ...listenerRest,
    identity: identityOf('alpha', theirs),
  }
  await network.transport('a').listen((connection) => {
    acceptChannel(tampered(connection, 'listener', tamper), accept).then(
      (channel) => {
        result.listener = channel
      },
      (error) => {
        result.listenerError = error
      },
    )
  }, kitLimits)
  const { identity: ours = {}, ...dialerRest } = dialer
  const own = network.transport('b')
  const transport = {
    ...own,
    dial: async (...args: Parameters<typeof own.dial>) =>
      tampered(await own.dial(...args), 'dialer', tamper),
  }
  try {
    result.dialer = await dialChannel(transport, 'a', {
      ...common,
      lane: 'control',
      ...dialerRest,
      identity: identityOf('beta', ours),
    })
  } catch (error) {
    result.dialerError = error as HotspareError
  }
  await until(() => result.listener !== undefined || result.listenerError !== undefined)
  return result
}
