/**
 * What `bootlace --help` prints. Word for word what the command line's own definition gives, which takes five times as long to
 * load as to print; a test compares the two.
 */
export const helpText = `DESCRIPTION
  Vision-language pipelines: CLIP, BLIP and CapFilt

USAGE
  bootlace <subcommand> [flags]

GLOBAL FLAGS
  --help, -h                                          Show help information
  --version, -v                                       Show version information
  --completions <bash|zsh|fish|powershell|sh|pwsh>    Print shell completion script (choices: bash, zsh, fish, powershell, sh, pwsh)

SUBCOMMANDS
  init         Start a project: a small pipeline over a folder of images and captions
  check        Check a pipeline: every mistake with its place; touches no model and no data
  plan         Say per node whether it is cached or will run, and why
  run          Run a pipeline; goes on by itself where an earlier run stopped
  report       Write the report of a run: one HTML file
  compare      Compare two runs: rows added and removed, metrics against the spread over seeds
  why          Say whether a node was computed or found in the store, and what its result hung on
  why-row      Follow a row through a run: its values, where it was kept or dropped, and why
  reproduce    Run a finished run again from nothing and compare its bytes, node by node
  store        Look after the artifacts
  ops          List the operators, or explain one
  schema       Print the JSON Schema of pipelines, for editors
  engine       What runs the tensors
  caption      Caption an image with a model that was trained
  classify     Classify an image among labels, zero-shot
  score        Score how well a text fits an image
  export       Write a trained model as a folder that Hugging Face transformers opens
`
