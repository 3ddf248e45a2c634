/**
 * A node of the next version, as far as the others can tell: what it sends has fields that they do
 * not know, and now and then it sends messages and frames of types that they do not know. To them
 * it has to be as good as one of their own version.
 */

import type { Connection, Transport } from '../../../interfaces/transport.js'
import { messageType } from '../../../protocol/channel.js'
import { decode, encode } from '../../../protocol/codec.js'
import { answerParts, readAnswer } from '../../../replication/bulk/messages.js'
import { frameTypes } from '../../../replication/frame-types.js'
import { eachConnection } from './each-connection.js'
import type { SeededRandom } from './seeded-random.js'

/** A type of frame that this version does not know. */
const laterFrameType = 250
/** Longer messages stay as they are: they may be as long as a frame can be. */
const messageBytesMax = 16 * 1024
/** How often a frame or message of an unknown type follows one that is known. */
const laterShare = 0.03

type Fields = Readonly<Record<string, unknown>>

/**
 * The same transport; connections without checks of frames carry what a later version would send.
 */
export function laterVersion(inner: Transport, random: SeededRandom): Transport {
  return eachConnection(inner, (connection) => speakLater(connection, random))
}

function speakLater(connection: Connection, random: SeededRandom): void {
  // The bytes that prove a frame would have to be made anew.
  if (!connection.secure) return
  const send = connection.send.bind(connection)
  connection.send = (parts, taken) => {
    const [head, payload] = parts
    // The handshake sends frames in one part.
    if (parts.length < 3 || head?.length !== 1 || payload === undefined) return send(parts, taken)
    const noCheck = parts.at(-1) ?? payload
    if (head[0] === frameTypes.answer) return send(withLaterAnswer(parts), taken)
    const isMessage = head[0] === messageType && payload.length <= messageBytesMax
    const message = isMessage ? (decode(payload) as Fields) : undefined
    const spoken = message === undefined ? parts : [head, encode(withLaterFields(message)), noCheck]
    const hasRoom = send(spoken, taken)
    if (!random.chance(laterShare)) return hasRoom
    const unknown = message === undefined ? undefined : unknownLike(message, random)
    if (unknown !== undefined) send([head, encode(unknown), noCheck])
    return send([Uint8Array.of(laterFrameType), Uint8Array.of(1, 2, 3), noCheck])
  }
}

function withLaterFields(message: Fields): Fields {
  const { body } = message
  const isEnvelope = typeof body === 'object' && body !== null && !Array.isArray(body)
  const later = { laterField: { since: 'the next version' } }
  return { ...message, ...later, ...(isEnvelope ? { body: { ...body, ...later } } : {}) }
}

/** The head of an answer with a field more; its content stays. */
function withLaterAnswer(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const [head, first, second, ...rest] = parts
  if (head === undefined || first === undefined || second === undefined) return parts
  if (first.length + second.length > messageBytesMax) return parts
  const answer = readAnswer(Buffer.concat([first, second])).head
  const { body } = answer
  const isRecord = typeof body === 'object' && body !== null && !Array.isArray(body)
  if (!isRecord) return parts
  return [
    head,
    ...answerParts({ ...answer, body: withLaterFields(body as Fields) }).slice(0, 2),
    ...rest,
  ]
}

/**
 * A message of an unknown type for the same lane; undefined for one whose messages are all
 * answered.
 */
function unknownLike(message: Fields, random: SeededRandom): Fields | undefined {
  if ('op' in message) return undefined
  const type = 'laterType'
  // Whoever relays drops a message whose id it has seen.
  const id = `later-${Buffer.from(random.bytes(8)).toString('hex')}`
  if ('origin' in message) return { ...message, id, type, body: { laterField: 1 } }
  return { type, laterField: 1 }
}
