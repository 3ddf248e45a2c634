/**
 * Makes a node look like one of the next version: what it sends has fields that other nodes do not
 * know, and now and then it sends messages and frames of unknown types. Other nodes must work with
 * it as with one of their own version.
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
/** Longer messages are not changed, because they may already have the maximum length of a frame. */
const messageBytesMax = 16 * 1024
/** The share of frames and messages that are followed by one of an unknown type. */
const laterShare = 0.03

type Fields = Readonly<Record<string, unknown>>

/** The same transport; its secure connections send what a later version would send. */
export function laterVersion(inner: Transport, random: SeededRandom): Transport {
  return eachConnection(inner, (connection) => speakLater(connection, random))
}

function speakLater(connection: Connection, random: SeededRandom): void {
  // Frames of other connections have checksums, which would have to be computed again.
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

/** The answer with an additional field in its head; its content is unchanged. */
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
 * A message of an unknown type for the same lane; undefined for the bulk lane, where each message
 * is a request.
 */
function unknownLike(message: Fields, random: SeededRandom): Fields | undefined {
  if ('op' in message) return undefined
  const type = 'laterType'
  // A new id, because a relaying node drops a message whose id it has seen.
  const id = `later-${Buffer.from(random.bytes(8)).toString('hex')}`
  if ('origin' in message) return { ...message, id, type, body: { laterField: 1 } }
  return { type, laterField: 1 }
}
