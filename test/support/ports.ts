import { createServer } from 'node:net'

/** Finds this many unused ports of the loopback. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(candidate(), '127.0.0.1', resolve)
      }).catch(() => undefined)
      return server
    }),
  )
  const ports: number[] = []
  for (const server of servers) {
    const address = server.address()
    if (typeof address === 'object' && address !== null) ports.push(address.port)
    await new Promise((resolve) => server.close(resolve))
  }
  return ports.length === count ? ports : await freePorts(count)
}

/** Below the range of ephemeral ports, so that no outgoing connection uses the port of a node. */
function candidate(): number {
  return 12_000 + Math.floor(Math.random() * 18_000)
}
