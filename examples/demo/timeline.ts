/** The output for people: one line for each event, and progress bars for what takes time. */
import { styleText } from 'node:util'
import type { PeerLag } from 'hotspare'

type Style = Parameters<typeof styleText>[0]

const nodeStyles: readonly Style[] = ['cyan', 'magenta', 'yellow']
const barCells = 28
const nameCells = 6

export class Timeline {
  readonly #out: NodeJS.WriteStream
  readonly #colours: boolean
  readonly #nodes: readonly string[]
  readonly #startedMs = performance.now()
  readonly #bars = new Map<string, string>()
  #drawn = 0

  constructor(out: NodeJS.WriteStream, nodes: readonly string[]) {
    this.#out = out
    this.#nodes = nodes
    this.#colours = out.isTTY === true && (process.env.NO_COLOR ?? '') === ''
  }

  heading(text: string): void {
    this.#print(`\n${this.#styled('bold', text)}`)
  }

  /** An event, on a node where one is named. */
  say(text: string, node?: string): void {
    this.#print(`${this.#time()}  ${this.#name(node)}  ${text}`)
  }

  good(text: string, node?: string): void {
    this.say(this.#styled('green', text), node)
  }

  bad(text: string, node?: string): void {
    this.say(this.#styled('red', text), node)
  }

  /** A progress bar below all other lines, until it ends; nothing where lines cannot be redrawn. */
  bar(node: string, share: number, text: string): void {
    const full = Math.round(Math.min(1, Math.max(0, share)) * barCells)
    const cells = `${'█'.repeat(full)}${'░'.repeat(barCells - full)}`
    this.#bars.set(node, `${' '.repeat(9)}  ${this.#name(node)}  ${cells} ${text}`)
    this.#print()
  }

  endBar(node: string): void {
    if (this.#bars.delete(node)) this.#print()
  }

  #print(line?: string): void {
    if (this.#drawn > 0) this.#out.write(`\u001b[${this.#drawn}A\u001b[J`)
    this.#drawn = 0
    if (line !== undefined) this.#out.write(`${line}\n`)
    if (this.#out.isTTY !== true) return
    for (const bar of this.#bars.values()) this.#out.write(`${bar}\n`)
    this.#drawn = this.#bars.size
  }

  #time(): string {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(2)
    return this.#styled('dim', `${seconds.padStart(7)} s`)
  }

  #name(node: string | undefined): string {
    const text = (node ?? '').padEnd(nameCells)
    const at = node === undefined ? -1 : this.#nodes.indexOf(node)
    return at < 0 ? text : this.#styled(nodeStyles[at % nodeStyles.length] ?? 'white', text)
  }

  #styled(style: Style, text: string): string {
    return this.#colours ? styleText(style, text) : text
  }
}

/** Formats bytes in a suitable unit. */
export function bytesText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** Formats the lag of a standby. */
export function lagText({ changes, bytes, ms }: PeerLag): string {
  return `${changes} changes, ${bytesText(bytes)}, ${msText(ms)}`
}

/** Formats milliseconds, with a decimal where it matters. */
export function msText(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}
