// Runs the seeds that its parent sends, with the build that its argument names.
import { pathToFileURL } from 'node:url'

const { simulate } = await import(pathToFileURL(process.argv[2]).href)

process.on('message', async ({ seed, profile }) => {
  const { violations } = await simulate(seed, profile === undefined ? {} : { profile })
  const [first] = violations
  process.send(first === undefined ? null : `${first.checker}: ${first.message.split('\n')[0]}`)
})
