"""The pure rules about money: tables in, tables out."""
