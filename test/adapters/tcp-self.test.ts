/**
 * A dial that connects to itself, because the system chose the dialled port as the local port of
 * the connection.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type NetConnectOpts } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { kitLimits } from '../../src/testing/transport-kit-support.js'
import { tcp } from '../../src/transport/tcp.js'
import { selfSigned } from './certificate.js'

vi.mock('node:net', async (original) => {
  const net = await original<typeof import('node:net')>()
  const connect = (options: NetConnectOpts & { port: number }) =>
    net.connect({ ...options, localPort: options.port })
  return { ...net, connect }
})

async function listening(port: number): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const close = () => new Promise<void>((resolve) => void server.close(() => resolve()))
  return { port: (server.address() as { port: number }).port, close }
}

/**
 * The states of the system's connections with this port, as Linux reports them; empty on other
 * systems.
 */
function held(port: number): string[] {
  const table = '/proc/net/tcp'
  if (!existsSync(table)) return []
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const rows = readFileSync(table, 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
  return rows.flatMap(([, local, , state]) => (local?.endsWith(`:${hex}`) ? [state ?? ''] : []))
}

describe('a dial that connects to itself', () => {
  const certificate = selfSigned()
  const tls = { ...certificate, ca: certificate.cert }
  for (const [name, options] of [
    ['without TLS', {}],
    ['with TLS', { tls }],
  ] as const) {
    it(`ROL-6: is refused, and leaves the port free for the next listener, ${name}`, async () => {
      const { port, close } = await listening(0)
      await close()
      const dial = tcp(options).dial(`127.0.0.1:${port}`, kitLimits)
      await expect(dial).rejects.toMatchObject({ code: 'PEER_REFUSED' })
      expect(held(port)).toEqual([])
      await (await listening(port)).close()
    })
  }
})
