import { connect } from 'node:net'
import { expect, test } from 'vitest'
import type { Connection } from '../../src/interfaces/transport.js'
import type { KitPair } from '../../src/testing/transport-kit.js'
import { transportKit } from '../../src/testing/transport-kit.js'
import {
  kitLimits,
  linked,
  received,
  tidied,
  until,
} from '../../src/testing/transport-kit-support.js'
import { memoryNetwork } from '../../src/transport/memory.js'
import { type TcpOptions, tcp } from '../../src/transport/tcp.js'
import { selfSigned } from './certificate.js'

function tcpPair(options: TcpOptions): KitPair {
  return {
    a: tcp({ listen: '127.0.0.1:0', ...options }),
    b: tcp(options),
    listenAgain: (address) => tcp({ ...options, listen: address }),
    cleanup: async () => {},
  }
}

transportKit({ name: 'tcp', test, create: async () => tcpPair({}) })

const certificate = selfSigned()
const tls = { ...certificate, ca: certificate.cert }
transportKit({ name: 'tcp with TLS', test, create: async () => tcpPair({ tls }) })

transportKit({
  name: 'memory',
  test,
  create: async () => {
    const network = memoryNetwork()
    return {
      a: network.transport('a:1'),
      b: network.transport('b:1'),
      cleanup: async () => {},
    }
  },
})

transportKit({
  name: 'memory with delays',
  test,
  create: async () => {
    const network = memoryNetwork({ latencyMs: 1, jitterMs: 2 })
    return {
      a: network.transport('a:1'),
      b: network.transport('b:1'),
      cleanup: async () => {},
    }
  },
})

test('tcp: IPv6 addresses work, and a listener on port 0 has the real port in its address', async () => {
  const transport = tcp({ listen: '[::1]:0' })
  const accepted: Connection[] = []
  const listener = await transport.listen((connection) => accepted.push(connection), kitLimits)
  expect(listener.address).toMatch(/^\[::1\]:[1-9]\d*$/)
  const connection = await transport.dial(listener.address, kitLimits)
  await until(() => accepted.length === 1)
  expect(connection.remote).toBe(listener.address)
  connection.destroy()
  accepted[0]?.destroy()
  await listener.close()
})

test.each([
  '',
  'host',
  ':7400',
  'host:70000',
  'host:-1',
  '::1:7400',
  '[::1]',
  'a b:1',
  'http://x:1',
])('tcp: %j is no address: OPTION_INVALID', async (address) => {
  expect(() => tcp({ listen: address })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID' }),
  )
  await expect(tcp().dial(address, kitLimits)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
})

test('tcp: timeouts are checked, and listening needs an address', async () => {
  for (const dialTimeoutMs of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
    expect(() => tcp({ dialTimeoutMs })).toThrow(/dialTimeoutMs/)
  }
  await expect(tcp().listen(() => {}, kitLimits)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
})

test('tcp: a name that does not resolve is PEER_UNREACHABLE, not proof of death', async () => {
  await expect(tcp().dial('no.such.host.invalid:1', kitLimits)).rejects.toMatchObject({
    code: 'PEER_UNREACHABLE',
  })
})

test('tcp: a partial frame uses memory for the bytes that arrived, not for those announced', async () => {
  const transport = tcp({ listen: '127.0.0.1:0' })
  const limits = { ...kitLimits, frameBytesMax: 512 * 1024 * 1024, connectionsMax: 1000 }
  const accepted: Connection[] = []
  const listener = await transport.listen((connection) => {
    accepted.push(connection)
    connection.onFrame(() => {})
  }, limits)
  const port = Number(listener.address.split(':')[1])
  const before = process.memoryUsage().arrayBuffers
  const strangers = Array.from({ length: 50 }, () => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(Buffer.from([0x10, 0, 0, 0, 1, 2, 3]))
    return socket
  })
  await until(() => accepted.length === strangers.length)
  await until(() => strangers.every((socket) => socket.bytesWritten === 7))
  const grown = process.memoryUsage().arrayBuffers - before
  expect(grown).toBeLessThan(strangers.length * 256 * 1024)
  for (const socket of strangers) socket.destroy()
  await listener.close()
})

test('tcp: an end without a good-bye counts as a reset, as when the process dies', async () => {
  const transport = tcp({ listen: '127.0.0.1:0' })
  let cause = ''
  const listener = await transport.listen((connection) => {
    connection.onFrame(() => {})
    connection.onClose((why) => {
      cause = why
    })
  }, kitLimits)
  const socket = connect(Number(listener.address.split(':')[1]), '127.0.0.1')
  socket.end(Buffer.from([0, 0, 0, 1, 9]))
  await until(() => cause !== '')
  expect(cause).toBe('reset')
  await listener.close()
})

test('tcp with TLS: a certificate without a trusted issuer is refused', async () => {
  const { pair, end } = tidied(tcpPair({ tls }))
  const listener = await pair.a.listen(() => {}, kitLimits)
  const other = tcp({ tls: { ca: selfSigned().cert } })
  await expect(other.dial(listener.address, kitLimits)).rejects.toMatchObject({
    code: 'PEER_UNREACHABLE',
    details: { reason: 'setUp' },
  })
  await end()
})

test('tcp with TLS: both ends of a session have the same binding, and other sessions another', async () => {
  const { pair, end } = tidied(tcpPair({ tls }))
  const first = await linked(pair)
  expect(first.near.secure && first.far.secure).toBe(true)
  expect(first.near.binding).toEqual(first.far.binding)
  await first.listener.close()
  const second = await linked(pair)
  expect(second.near.binding).not.toEqual(first.near.binding)
  await end()
})

test('tcp: plain bytes on a TLS listener end only their own connection', async () => {
  const { pair, end } = tidied(tcpPair({ tls }))
  const { near, far, listener } = await linked(pair)
  let ended = false
  const socket = connect(Number(listener.address.split(':')[1]), '127.0.0.1')
  socket.on('error', () => {})
  socket.on('close', () => {
    ended = true
  })
  socket.resume()
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await until(() => ended)
  const frames = received(far)
  near.send([Uint8Array.of(1)])
  await until(() => frames.length === 1)
  await end()
})
