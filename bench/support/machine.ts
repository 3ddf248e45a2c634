import { readFileSync } from 'node:fs'
import { arch, cpus, platform, release, totalmem } from 'node:os'

/** One line that describes the machine. */
export function describeMachine(): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? 'unknown processor'
  const memoryGib = Math.round(totalmem() / 2 ** 30)
  const system = `${platform()} ${release()} ${arch()}`
  return `${processors.length} x ${model}, ${memoryGib} GiB, ${system}, Node ${process.version}`
}

/**
 * Whether a process listens on this TCP port of the machine; true where the system does not provide
 * it.
 */
export function isListening(port: number): boolean {
  try {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFileSync(file, 'utf8'))
    return tables.some((table) =>
      table.split('\n').some((line) => {
        const [, local, , state] = line.trim().split(/\s+/)
        return local?.endsWith(wanted) === true && state === '0A'
      }),
    )
  } catch {
    return true
  }
}
