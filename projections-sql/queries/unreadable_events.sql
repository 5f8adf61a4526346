SELECT count(*)::integer AS count FROM unreadable_event;
