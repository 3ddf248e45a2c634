import { connect, type Socket } from 'node:net'
import { type Load, LoadMeter, type LoadResult } from './load.js'

/** Encodes a command in the protocol of Redis. */
export function encodeCommand(...parts: readonly (string | Uint8Array)[]): Buffer {
  const pieces: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)]
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    pieces.push(Buffer.from(`$${bytes.byteLength}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(pieces)
}

/** Opens a connection whose answers go to `receive`, in one reused buffer. */
function open(port: number, receive: (bytes: Buffer) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(65_536),
        callback: (length, buffer) => {
          receive(Buffer.from(buffer.buffer, buffer.byteOffset, length))
          return true
        },
      },
    })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Runs one command on a connection of its own, for setup; returns the raw answer. */
export function redisCommand(port: number, ...parts: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    let socket: Socket | undefined
    open(port, (bytes) => {
      answer += bytes.toString('latin1')
      if (!isWhole(answer)) return
      socket?.destroy()
      resolve(answer)
    }).then((opened) => {
      socket = opened
      opened.once('close', () => reject(new Error('Redis closed the connection')))
      opened.write(encodeCommand(...parts))
    }, reject)
  })
}

/** Whether a one-line or bulk answer has arrived to its end. */
function isWhole(answer: string): boolean {
  const line = answer.indexOf('\r\n')
  if (line < 0) return false
  if (!answer.startsWith('$')) return true
  const length = Number(answer.slice(1, line))
  return length < 0 || answer.length >= line + 2 + length + 2
}

const keys = 10_000
const keyDigits = 8
const answerOfOne = '+OK\r\n:1\r\n'

/**
 * SET of one value, then WAIT 1 0, both in one write, by every caller on a connection of its own
 * (WAIT holds a connection back, so callers cannot share one).
 */
export async function redisLoad(port: number, load: Load): Promise<LoadResult> {
  const value = Buffer.alloc(load.bytes, 0x61)
  const key = '0'.repeat(keyDigits)
  const template = Buffer.concat([
    encodeCommand('SET', key, value),
    encodeCommand('WAIT', '1', '0'),
  ])
  const keyStart = template.indexOf(key)
  const sockets: Socket[] = []
  let next = 0
  const loops: (() => void)[] = []
  const ends: Promise<void>[] = []
  const meters: { meter?: LoadMeter } = {}
  for (let caller = 0; caller < load.callers; caller += 1) {
    const command = Buffer.from(template)
    let answered = ''
    let calledMs = 0
    const call = (): void => {
      next = (next + 1) % keys
      command.write(String(next).padStart(keyDigits, '0'), keyStart, 'latin1')
      calledMs = performance.now()
      socket.write(command)
    }
    let finish: () => void = () => undefined
    let fail: (error: Error) => void = () => undefined
    ends.push(
      new Promise<void>((resolve, reject) => {
        finish = resolve
        fail = reject
      }),
    )
    const socket = await open(port, (bytes) => {
      answered += bytes.toString('latin1')
      if (answered.length < answerOfOne.length) return
      if (answered !== answerOfOne) fail(new Error(`Redis answered ${answered}`))
      answered = ''
      if (meters.meter?.done(calledMs, performance.now()) === true) call()
      else finish()
    })
    sockets.push(socket)
    loops.push(call)
  }
  meters.meter = new LoadMeter(load)
  for (const start of loops) start()
  await Promise.all(ends)
  const result = meters.meter.result()
  for (const socket of sockets) socket.destroy()
  return result
}

/**
 * A stream of SETs without waiting for answers, 64 KiB to a write and without replies, until the
 * replica has all of it (WAIT at the end). Gives the seconds that it took.
 */
export async function redisStream(port: number, count: number, bytes: number): Promise<number> {
  const value = Buffer.alloc(bytes, 0x61)
  const setOf = (key: number): Buffer =>
    encodeCommand('SET', String(key).padStart(keyDigits, '0'), value)
  const perChunk = Math.max(1, Math.floor(65_536 / setOf(0).byteLength))
  const chunks = Array.from({ length: 64 }, (_, chunk) =>
    Buffer.concat(Array.from({ length: perChunk }, (_, index) => setOf(chunk * perChunk + index))),
  )
  let answered = ''
  let applied: () => void = () => undefined
  const socket = await open(port, (part) => {
    answered += part.toString('latin1')
    if (answered.endsWith(':1\r\n')) applied()
  })
  const end = new Promise<void>((resolve, reject) => {
    applied = resolve
    socket.once('close', () => reject(new Error('Redis closed the stream')))
  })
  socket.write(encodeCommand('CLIENT', 'REPLY', 'OFF'))
  const startMs = performance.now()
  for (let sent = 0, chunk = 0; sent < count; sent += perChunk, chunk += 1) {
    const queued = socket.write(chunks[chunk % chunks.length] ?? Buffer.alloc(0))
    if (!queued) await new Promise<void>((resolve) => socket.once('drain', () => resolve()))
  }
  socket.write(
    Buffer.concat([encodeCommand('CLIENT', 'REPLY', 'ON'), encodeCommand('WAIT', '1', '0')]),
  )
  await end
  const seconds = (performance.now() - startMs) / 1000
  socket.destroy()
  return seconds
}
